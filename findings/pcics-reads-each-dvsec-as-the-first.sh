#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# pcics 0.3.2 (crates.io): `ExtendedCapabilities` reads some kinds of capabilities at 0x100, wherever they
# are: DVSEC, Resizable BAR, VF Resizable BAR, multicast, FRS queuing and eight more, which the crate parses
# together with their header. A second DVSEC has the id and the registers of the first; CXL devices have
# several. A Resizable BAR behind a DVSEC is an error, or its sizes and its BAR are registers of the DVSEC.
# The offsets are right, and so are the other kinds, like VSEC. Expected: the registers at the offset that
# the header before states (PCI Express 6.0, sections 7.6.3, 7.8.6 and 7.9.6), as lspci 3.9.0 reads them.
#
# What it means for a reader: parse these kinds with their own `try_from`, from the offset on.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

found=$(rust_program 'pcics = "=0.3.2"' <<'END'
use pcics::extended_capabilities::{
    DesignatedVendorSpecificExtendedCapability as Dvsec, ExtendedCapabilities,
    ExtendedCapabilityKind as Kind, ResizableBar,
};

/// Puts capabilities of 16 bytes, given by number and registers, one behind the other from 0x100 on.
fn space(all: &[(u32, [u32; 3])]) -> Vec<u8> {
    let mut space = vec![0; 4096 - 0x100];
    for (index, (id, registers)) in all.iter().enumerate() {
        let next = if index + 1 < all.len() { 0x110 + 16 * index as u32 } else { 0 };
        for (word, value) in [id | 1 << 16 | next << 20].iter().chain(registers).enumerate() {
            space[16 * index + 4 * word..][..4].copy_from_slice(&value.to_le_bytes());
        }
    }
    space
}

fn dvsec(read: Dvsec) -> String {
    format!("DVSEC {} {:x?}", read.dvsec_id, read.dvsec_type)
}

fn bars(read: ResizableBar) -> String {
    read.map(|bar| format!("sizes {:x} of BAR {}", bar.capability.support_map_from_1mb_to_128tb, bar.control.bar_index))
        .collect()
}

/// Prints, in one line, what the iterator finds.
fn show(space: &[u8]) {
    let all: Vec<_> = ExtendedCapabilities::new(space)
        .map(|found| match found {
            Ok(found) => format!("{:x}: {}", found.offset, match found.kind {
                Kind::DesignatedVendorSpecificExtendedCapability(read) => dvsec(read),
                Kind::VendorSpecificExtendedCapability(read) => format!("VSEC {}", read.header.vsec_id),
                Kind::ResizableBar(read) => bars(read),
                other => format!("{other:x?}"),
            }),
            Err(error) => error.to_string(),
        })
        .collect();
    println!("{}", all.join("; "));
}

fn main() {
    // A DVSEC of vendor 1234 with 6 bytes of registers, a VSEC, and sizes of 1 to 8 MB for BAR 2.
    let designated = |id: u32, byte: u32| (0x23, [0x0100_1234, byte << 24 | byte << 16 | id, byte]);
    let vendor = (0x0b, [0x0100_0007, 0, 0]);
    let resizable = (0x15, [0xf0, 0x22, 0]);
    let designated_first = space(&[designated(1, 0xaa), designated(2, 0xbb), resizable, vendor]);
    show(&designated_first);
    println!("{}", dvsec(designated_first[0x10..].try_into().unwrap()));
    println!("{}", bars(designated_first[0x20..].try_into().unwrap()));
    show(&space(&[resizable, vendor]));
    show(&space(&[designated(0x21, 0xaa), resizable]));
}
END
)
first='DVSEC 1 Unspecified([aa, aa, aa, 0, 0, 0])'
seen 'DVSECs 1 and 2, Resizable BAR, VSEC' \
	"100: $first; 110: $first; [120] Resizable BAR error: should have 1..=6 number of entries; 130: VSEC 7" \
	"$(sed -n 1p <<<"$found")"
seen 'from 110 on, by try_from' 'DVSEC 2 Unspecified([bb, bb, bb, 0, 0, 0])' "$(sed -n 2p <<<"$found")"
seen 'from 120 on, by try_from' 'sizes f0 of BAR 2' "$(sed -n 3p <<<"$found")"
seen 'Resizable BAR, VSEC' '100: sizes f0 of BAR 2; 110: VSEC 7' "$(sed -n 4p <<<"$found")"
seen 'DVSEC 33, Resizable BAR' \
	'100: DVSEC 33 Unspecified([aa, aa, aa, 0, 0, 0]); 110: sizes 1001234 of BAR 1' "$(sed -n 5p <<<"$found")"
finish
