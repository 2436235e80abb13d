#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# pci_types 0.10.1 (crates.io, rust-osdev): `EndpointHeader::bar` sizes a 64-bit memory BAR of 2 GiB
# as 0xffffffff80000000 bytes. The size is shifted as a signed number of 32 bits, and then widened.
# BARs of 1 and of 4 GiB have their size, and so has a 32-bit BAR of 2 GiB. Expected: 0x80000000.
#
# What it means for a kernel: the sum of address and size overflows. Check the size before a mapping.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

found=$(rust_program 'pci_types = "=0.10.1"' <<'END'
use pci_types::{Bar, ConfigRegionAccess, EndpointHeader, PciAddress, PciHeader};
use std::cell::RefCell;

/// A function with BAR 0 and BAR 1. Hardware keeps the address bits above the size, and the type.
struct Function {
    kind: u64,
    size: u64,
    bars: RefCell<[u32; 2]>,
}

impl ConfigRegionAccess for &Function {
    unsafe fn read(&self, _: PciAddress, offset: u16) -> u32 {
        match offset {
            0x10 => self.bars.borrow()[0] & !(self.size - 1) as u32 | self.kind as u32,
            0x14 if self.kind == 0b100 => self.bars.borrow()[1] & (!(self.size - 1) >> 32) as u32,
            _ => 0,
        }
    }
    unsafe fn write(&self, _: PciAddress, offset: u16, value: u32) {
        match offset {
            0x10 => self.bars.borrow_mut()[0] = value,
            0x14 => self.bars.borrow_mut()[1] = value,
            _ => {}
        }
    }
}

fn main() {
    for (kind, gib) in [(0b100, 1), (0b100, 2), (0b100, 4), (0b000, 2)] {
        let function = Function { kind, size: gib << 30, bars: RefCell::default() };
        let header = PciHeader::new(PciAddress::new(0, 0, 3, 0));
        let endpoint = EndpointHeader::from_header(header, &function).unwrap();
        match endpoint.bar(0, &function).unwrap() {
            Bar::Memory64 { size, .. } => println!("{size:#x}"),
            Bar::Memory32 { size, .. } => println!("{size:#x}"),
            Bar::Io { .. } => println!("ports"),
        }
    }
}
END
)
seen 'a 64-bit BAR of 1 GiB' 0x40000000 "$(sed -n 1p <<<"$found")"
seen 'a 64-bit BAR of 2 GiB' 0xffffffff80000000 "$(sed -n 2p <<<"$found")"
seen 'a 64-bit BAR of 4 GiB' 0x100000000 "$(sed -n 3p <<<"$found")"
seen 'a 32-bit BAR of 2 GiB' 0x80000000 "$(sed -n 4p <<<"$found")"
finish
