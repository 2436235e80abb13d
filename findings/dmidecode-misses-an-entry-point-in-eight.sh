#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# dmidecode 1.0.1 (crates.io): `EntryPoint::search` compares the low 8 bits of the number of bytes from the
# entry point to the end of the buffer with the entry point's length. In the 64 KiB below 1 MiB, the one of
# SMBIOS is not found at an address that ends in 00 or f0: BadSize(0) and BadSize(16). Those are 511 of its
# 4095 places. Buffers of other lengths have other such places; one that holds the entry point alone, as
# Linux gives it in sysfs, has none. Expected: it is found at each multiple of 16 bytes, for there firmware
# may put it (DSP0134, sections 5.2.1 and 5.2.2).
#
# What it means for a kernel: whether a guest has SMBIOS depends on where its firmware puts it. After a
# BadSize, search once more without the last 128 bytes.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

found=$(rust_program 'dmidecode = "=1.0.1"' <<'END'
use dmidecode::{EntryPoint, InvalidEntryPointError as Error};
use std::collections::BTreeMap;

/// Sets the byte that makes the sum of all of them zero.
fn sum(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    bytes[at] = bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_sub(*byte));
    bytes
}

/// Puts an entry point at each multiple of 16 bytes of an area, and prints the places where it is not
/// found: the ends of their addresses, and the size in the error. Then again, with a second search.
fn show(entry: &[u8]) {
    let mut missed = BTreeMap::new();
    let mut twice = 0;
    let last = 0x10000 - entry.len();
    for place in (0..=last).step_by(16) {
        let mut area = vec![0; 0x10000];
        area[place..][..entry.len()].copy_from_slice(entry);
        match EntryPoint::search(&area) {
            Ok(_) => {}
            Err(Error::BadSize(size)) => {
                *missed.entry((place & 0xff, size)).or_insert(0) += 1;
                twice += EntryPoint::search(&area[..0x10000 - 128]).is_err() as u32;
            }
            Err(other) => println!("{other}"),
        }
    }
    let missed: Vec<_> = missed
        .iter()
        .map(|((end, size), count)| format!("{count} at {end:02x}: BadSize({size})"))
        .collect();
    println!("{}", missed.join(", "));
    println!("{twice} {}", EntryPoint::search(entry).is_ok());
}

fn main() {
    // SMBIOS 2.8 with 9 structures, and 3.0: both with 352 bytes of structures at 0xf5300.
    let mut inner = b"_DMI_\0".to_vec();
    inner.extend([0x60, 0x01, 0x00, 0x53, 0x0f, 0x00, 0x09, 0x00, 0x28]);
    let mut two = b"_SM_\0\x1f\x02\x08\x50\0\0\0\0\0\0\0".to_vec();
    two.extend(sum(inner, 5));
    show(&sum(two, 4));
    let mut three = b"_SM3_\0\x18\x03\0\0\x01\0".to_vec();
    three.extend([0x60, 0x01, 0x00, 0x00, 0x00, 0x53, 0x0f, 0x00, 0x00, 0x00, 0x00, 0x00]);
    show(&sum(three, 5));
}
END
)
missed='256 at 00: BadSize(0), 255 at f0: BadSize(16)'
seen 'places at which 2.8 is missed' "$missed" "$(sed -n 1p <<<"$found")"
seen 'missed twice, and found alone' '0 true' "$(sed -n 2p <<<"$found")"
seen 'places at which 3.0 is missed' "$missed" "$(sed -n 3p <<<"$found")"
seen 'missed twice, and found alone' '0 true' "$(sed -n 4p <<<"$found")"
finish
