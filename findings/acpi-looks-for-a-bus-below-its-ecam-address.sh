#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# acpi 6.1.1 (crates.io, rust-osdev): `PciConfigRegions::physical_address` takes the base address of an
# MCFG entry for that of the entry's first bus. The PCI Firmware Specification (4.1.2) has it for bus 0,
# whichever bus is the first, and Linux adds 1 MiB for each bus below it (drivers/acpi/pci_mcfg.c). Where
# an entry begins at bus 0x80, the crate is 128 MiB too low. Two entries of one segment give two buses
# one address here. Entries that begin at bus 0, as QEMU's, are right. Expected: bus 80 at e8000000.
#
# What it means for a kernel: add the first bus of the region, times 1 MiB, to the address.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

# The crate uses a feature of the nightly compiler, which the stable one can be told to accept.
export RUSTC_BOOTSTRAP=1
found=$(rust_program 'acpi = "=6.1.1"' <<'END'
use acpi::{platform::PciConfigRegions, sdt::mcfg::McfgEntry};

/// Reads an entry as the MCFG has it: base address, segment, first bus, last bus, four zeros.
fn entry(base: u64, first: u8, last: u8) -> McfgEntry {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&base.to_le_bytes());
    (bytes[10], bytes[11]) = (first, last);
    // SAFETY: the entry is packed and of plain numbers, and has 16 bytes.
    unsafe { std::mem::transmute(bytes) }
}

fn main() {
    // One area for the buses of a segment, told in two entries, as of two host bridges.
    let entries = vec![entry(0xe000_0000, 0x00, 0x7f), entry(0xe000_0000, 0x80, 0xff)];
    let regions = PciConfigRegions { regions: entries };
    for bus in [0x00, 0x01, 0x80, 0x81] {
        println!("{:#x}", regions.physical_address(0, bus, 0, 0).unwrap());
    }
}
END
)
seen 'bus 00' 0xe0000000 "$(sed -n 1p <<<"$found")"
seen 'bus 01' 0xe0100000 "$(sed -n 2p <<<"$found")"
seen 'bus 80' 0xe0000000 "$(sed -n 3p <<<"$found")"
seen 'bus 81' 0xe0100000 "$(sed -n 4p <<<"$found")"
finish
