// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The page tables of the process, as a kernel with `PTDUMP_DEBUGFS` shows them.

use std::fs;
use std::path::Path;

/// The first is there only if user and kernel have page tables of their own; else the second shows
/// both.
const FILES: [&str; 2] = [
    "/sys/kernel/debug/page_tables/current_user",
    "/sys/kernel/debug/page_tables/current_kernel",
];

/// A way to look at the page tables.
pub(crate) struct Dump(&'static str);

impl Dump {
    /// `None` where the kernel does not show them.
    pub(crate) fn new() -> Option<Self> {
        FILES
            .into_iter()
            .find(|file| Path::new(file).exists())
            .map(Self)
    }

    /// Cache policy of the page at `address`, from the bits PWT, PCD and PAT of its entry and how
    /// Linux sets up what they select (`arch/x86/mm/pat/memtype.c`).
    pub(crate) fn policy(&self, address: usize) -> &'static str {
        let dump = fs::read_to_string(self.0).expect("the page tables can be read");
        let line = dump.lines().find(|line| holds(line, address));
        let line = line.unwrap_or_else(|| panic!("no entry for {address:#x} in:\n{dump}"));
        let has = |bit| line.split_whitespace().any(|word| word == bit);
        match (has("PAT"), has("PCD"), has("PWT")) {
            (false, false, false) => "cached",
            (false, false, true) => "write-combining",
            (false, true, false) => "uncached",
            _ => panic!("unexpected policy: {line}"),
        }
    }
}

/// Whether a line is of a present range with the address: `0xFIRST-0xEND SIZE FLAGS pte`.
fn holds(line: &str, address: usize) -> bool {
    let range = line
        .split_whitespace()
        .next()
        .and_then(|range| range.split_once('-'));
    let number = |text: &str| usize::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    range
        .and_then(|(first, end)| Some(number(first)?..number(end)?))
        .is_some_and(|range| range.contains(&address) && line.contains("USR"))
}
