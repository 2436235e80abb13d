// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The physical pages behind addresses of this process, as `/proc/self/pagemap` shows them.

use ringbar_client::page_size;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bits of an entry with the number of the physical page.
const FRAME: u64 = (1 << 55) - 1;
/// Bit of an entry: there is a page.
const PRESENT: u64 = 1 << 63;

/// Returns the numbers of the physical pages behind `length` bytes at `address`.
pub fn frames(address: usize, length: usize) -> Vec<u64> {
    let map = File::open("/proc/self/pagemap").expect("procfs is mounted");
    let mut entries = vec![0; length.div_ceil(page_size()) * size_of::<u64>()];
    let start = address / page_size() * size_of::<u64>();
    map.read_exact_at(&mut entries, start as u64)
        .expect("the entries can be read");
    let entry = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
    entries
        .chunks_exact(size_of::<u64>())
        .map(entry)
        .inspect(|entry| assert_ne!(entry & PRESENT, 0, "a page is missing"))
        .map(|entry| entry & FRAME)
        .collect()
}
