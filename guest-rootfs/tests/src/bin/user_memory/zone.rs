// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The page frames of the process's memory, and the zone of movable ones.

use ringbar_client::Mapping;
use ringbar_tests::page_size;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

/// Bits of an entry of `/proc/PID/pagemap`: the page is present, and its frame.
const PRESENT: u64 = 1 << 63;
const FRAME: u64 = (1 << 55) - 1;

/// Returns the frames whose pages the kernel may move until they are pinned for long: the zone
/// `Movable`, if there is one.
pub(crate) fn movable() -> Option<Range<u64>> {
    let text = fs::read_to_string("/proc/zoneinfo").expect("procfs is mounted");
    let (_, zone) = text.split_once("zone  Movable")?;
    let field = |name: &str| -> Option<u64> {
        let value = zone.split_once(name)?.1.split_whitespace().next()?;
        value.parse().ok()
    };
    let (first, frames) = (field("start_pfn:")?, field("spanned")?);
    (frames > 0).then(|| first..first + frames)
}

/// Returns the frame of each page of a mapping.
pub(crate) fn frames(memory: &Mapping) -> Vec<u64> {
    let pagemap = File::open("/proc/self/pagemap").expect("procfs is mounted");
    let first = memory.as_ptr().addr() / page_size();
    let entry = |page: usize| {
        let mut bytes = [0; 8];
        let at = ((first + page) * bytes.len()) as u64;
        pagemap.read_exact_at(&mut bytes, at).expect("an entry");
        let entry = u64::from_ne_bytes(bytes);
        assert_ne!(entry & PRESENT, 0, "page {page} is there");
        entry & FRAME
    };
    (0..memory.len() / page_size()).map(entry).collect()
}
