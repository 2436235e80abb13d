#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# pciid-parser 0.8.1 (crates.io): `find_vendor_name`, `find_device_name` and `find_subdevice_name` look
# for a number without leading zeros, and pci.ids has four digits each. They say of QEMU's own devices
# (1b36:0001 to 1b36:0100), and of every vendor below 0x1000, that there is none. The crate's `Database`
# knows the same entries. Expected: the name.
#
# What it means for a lister: use `Database`, though it keeps the whole file in memory.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

# Lines of pci.ids 2025.06.09.
cat >pci.ids <<'END'
10b5  PLX Technology, Inc.
	9050  PCI <-> IOBus Bridge
		10b5 1067  IXXAT CAN i165
		12fe 0001  CAN-PCI/331 CAN bus controller
1000  Broadcom / LSI
	0001  53c810
0e11  Compaq Computer Corporation
	1000  Triflex/Pentium Bridge, Model 1000
1b36  Red Hat, Inc.
	0010  QEMU NVM Express Controller
END
found=$(rust_program 'pciid-parser = "=0.8.1"' <<'END'
use pciid_parser::{find_device_name_with_reader, find_subdevice_name_with_reader};
use pciid_parser::{find_vendor_name_with_reader, Database};
use std::fs::File;

/// The file of names, to be read from its start.
fn ids() -> File {
    File::open("pci.ids").unwrap()
}

fn main() {
    let all = Database::parse_db(ids()).unwrap();
    for vendor in [0x1000, 0x0e11] {
        let found = find_vendor_name_with_reader(ids(), vendor).unwrap();
        println!("{} {}", all.vendors.contains_key(&vendor), found.is_some());
    }
    for (vendor, device) in [(0x0e11, 0x1000), (0x10b5, 0x9050), (0x1b36, 0x0010)] {
        let known = all.get_device_info(vendor, device, 0, 0).device_name;
        let found = find_device_name_with_reader(ids(), vendor, device).unwrap();
        println!("{} {}", known.is_some(), found.is_some());
    }
    for (vendor, device) in [(0x10b5, 0x1067), (0x12fe, 0x0001)] {
        let known = all.get_device_info(0x10b5, 0x9050, vendor, device).subdevice_name;
        let found = find_subdevice_name_with_reader(ids(), 0x10b5, 0x9050, vendor, device).unwrap();
        println!("{} {}", known.is_some(), found.is_some());
    }
}
END
)
line=0
for what in 'vendor 1000' 'vendor 0e11' 'device 0e11:1000' 'device 10b5:9050' 'device 1b36:0010' \
	'subsystem 10b5:1067' 'subsystem 12fe:0001'; do
	line=$((line + 1))
	case $what in
	*0e11* | *0010 | *0001) expected='true false' ;;
	*) expected='true true' ;;
	esac
	seen "$what: in the database, and found by its number" "$expected" "$(sed -n ${line}p <<<"$found")"
done
finish
