#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# pcicrawler 1.0.0 (PyPI), `PCIDevice.express_type`: the walk over the capabilities does not end at
# the null pointer. It goes on at offset 0 and takes the vendor number for a capability: 0x86 with a
# next pointer of 0x80, for a device of Intel. The bridge here has one capability, a vendor specific
# one. Its register at 0x80 is 0x0010, which says where COM1 and COM2 are decoded, and 0x10 is the
# number of PCI Express. With COM2 at another address, pcicrawler sees no PCI Express and notes a
# loop in a list that has none. Expected: None, and no note.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

python_packages pcicrawler==1.0.0
found=$(
	venv/bin/python - <<'END'
import pathlib

from pci_lib import pci_lib


def isa_bridge(address, decoded):
    """Writes an ISA bridge (ICH9) in sysfs's form, whose I/O decode register has a value."""
    config = bytearray(256)
    config[0x00:0x10] = bytes.fromhex("86801829 07001002 02000106 00008000")
    config[0x34] = 0xE0  # the first capability: vendor specific, none after it, 12 bytes
    config[0xE0:0xE3] = bytes.fromhex("09000c")
    config[0x80:0x84] = bytes([decoded, 0x00, 0x0F, 0x3C])
    folder = pathlib.Path("devices", address)
    folder.mkdir(parents=True)
    (folder / "config").write_bytes(config)
    for name in ("vendor", "device", "class", "subsystem_vendor", "subsystem_device"):
        (folder / name).write_text("0x8086\n")


pci_lib.SYSFS_PCI_BUS_DEVICES = "devices/"
for address, decoded in ("0000:00:1f.0", 0x10), ("0000:01:1f.0", 0x20):
    isa_bridge(address, decoded)
    device = pci_lib.map_pci_device(address)
    print(device.express_type, device.express_link is not None)
    print(*{str(note) for note in device.get_debugging_details()[0]})
END
)
seen 'COM2 at 2f8: type, and a link' 'endpoint True' "$(sed -n 1p <<<"$found")"
seen 'COM2 at 2f8: notes' '' "$(sed -n 2p <<<"$found")"
seen 'COM2 at 220: type, and a link' 'None False' "$(sed -n 3p <<<"$found")"
seen 'COM2 at 220: notes' 'Detected looping in capability decoding' "$(sed -n 4p <<<"$found")"
finish
