#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# acpi_tables 0.2.1 (crates.io, rust-vmm), the CEDT, which tells a guest of its CXL host bridges:
# - The record of a host bridge has 27 bytes. The CXL Specification (3.0, 9.17.1.2) has 32: its length takes
#   two bytes, not one, and four reserved ones come before the address. The table's length counts 32, and
#   its checksum is right. A reader finds a length made of 0x20 and the bridge's number, and a wrong address.
# - `cxl_type_3_memory` sets the bit for memory of type 2 in the restrictions of a window (9.17.1.3).
# Expected: 32 bytes, as the length says, the address at byte 16, and bit 1 for type 3, next to bit 2 for
# volatile memory.
#
# What it means for a virtual machine monitor: write the records of this table by hand.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

found=$(rust_program 'acpi_tables = "=0.2.1"' <<'END'
use acpi_tables::{cedt::*, Aml};

const HEADER: usize = 36;

fn bytes(table: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn main() {
    let mut table = CEDT::new(*b"VENDOR", *b"MACHINE ", 1);
    for (number, address) in [(0x35, 0x40_0401_0000), (0x36, 0x40_0402_0000)] {
        table.add_host_bridge(CxlHostBridge::new(number, CxlVersion::Cxl2, address));
    }
    let written = bytes(&table);
    let sum = written.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    println!("{} {} {sum}", half(&written, 4), written.len());
    let record = &written[HEADER..];
    let address = u64::from_le_bytes(record[16..24].try_into().unwrap());
    println!("{:#x} {:#x}", half(record, 2), address);

    let (arithmetic, granularity) = (InterleaveArithmetic::Modulo, InterleaveGranularity::Granularity256b);
    let window = CxlFixedMemory::new(1 << 40, 1 << 30, arithmetic, granularity, InterleaveWays::Ways1, 0);
    let mut window = window.cxl_type_3_memory().volatile();
    window.add_target([0x35, 0, 0, 0]);
    println!("{:#x}", half(&bytes(&window), 32));
}
END
)
seen 'two bridges: length stated, bytes written, sum' '100 90 0' "$(sed -n 1p <<<"$found")"
seen 'bridge 35 at 0x4004010000: length and address of its record' '0x3520 0x10000000000' "$(sed -n 2p <<<"$found")"
seen 'restrictions of volatile memory of type 3' 0x5 "$(sed -n 3p <<<"$found")"
finish
