#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# pcicrawler 1.0.0 (PyPI), `PCIDevice.vpd`: the fields of a card's vital product data are one
# dictionary for all cards of the process. Once a second card is read, the first one has its serial
# number. A field that the second card does not have is taken from the first. The names
# (`identifier_string`) are right. The two cards are files as sysfs has them; each has a valid
# checksum. Expected: for each card its own fields.
#
# What it means for an inventory: read each card in a process of its own.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

python_packages pcicrawler==1.0.0
found=$(
	venv/bin/python - <<'END'
import pathlib
import struct

from pci_lib import pci_lib


def resource(tag, data):
    """Returns a large resource of VPD."""
    return bytes([tag]) + struct.pack("<H", len(data)) + data


def vital_data(name, fields):
    """Returns VPD: the name, the read-only fields with a checksum, and the end."""
    items = b"".join(key.encode() + bytes([len(value)]) + value.encode() for key, value in fields)
    checked = resource(0x82, name.encode()) + resource(0x90, items + b"RV\x01\0")
    return checked[:-1] + bytes([-sum(checked) & 0xFF]) + b"\x78"


def add(address, data):
    """Writes a card in sysfs's form, with this VPD."""
    folder = pathlib.Path("devices", address)
    folder.mkdir(parents=True)
    (folder / "vpd").write_bytes(data)
    for name in ("vendor", "device", "class", "subsystem_vendor", "subsystem_device"):
        (folder / name).write_text("0x1234\n")


add("0000:01:00.0", vital_data("first", [("PN", "PART-1"), ("SN", "SERIAL-1")]))
add("0000:02:00.0", vital_data("second", [("SN", "SERIAL-2")]))
pci_lib.SYSFS_PCI_BUS_DEVICES = "devices/"
first, second = (pci_lib.map_pci_device(name) for name in ("01:00.0", "02:00.0"))
for card in first, second, first:
    fields = card.vpd["fields"].items()
    print(card.vpd["identifier_string"], *(f"{key}={value}" for key, value in fields))
END
)
seen 'the first card, read alone' 'first PN=PART-1 SN=SERIAL-1' "$(sed -n 1p <<<"$found")"
seen 'the second card, which has no PN' 'second PN=PART-1 SN=SERIAL-2' "$(sed -n 2p <<<"$found")"
seen 'the first card after the second' 'first PN=PART-1 SN=SERIAL-2' "$(sed -n 3p <<<"$found")"
finish
