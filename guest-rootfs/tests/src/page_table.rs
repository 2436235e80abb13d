// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The page tables of the process, which a kernel with `PTDUMP_DEBUGFS` shows.

use std::fs;
use std::path::Path;

/// The first file exists only if user and kernel have separate page tables. Otherwise the second
/// shows both.
const FILES: [&str; 2] = [
    "/sys/kernel/debug/page_tables/current_user",
    "/sys/kernel/debug/page_tables/current_kernel",
];

/// The kernel's dump of the page tables.
#[derive(Debug)]
pub struct Dump(String);

impl Dump {
    /// Returns whether this kernel shows the page tables.
    pub fn is_there() -> bool {
        FILES.into_iter().any(|file| Path::new(file).exists())
    }

    /// Reads the present page tables. A kernel with KASAN needs seconds for it.
    pub fn read() -> Self {
        let file = FILES.into_iter().find(|file| Path::new(file).exists());
        let file = file.expect("this kernel shows the page tables");
        Self(fs::read_to_string(file).expect("the page tables can be read"))
    }

    /// Returns the cache policy of the page at `address`, from the bits PWT, PCD and PAT of its
    /// entry. Linux sets up the policies that they select (`arch/x86/mm/pat/memtype.c`).
    ///
    /// # Errors
    ///
    /// Fails if there is no entry, or one with other bits. The error shows it.
    pub fn policy(&self, address: usize) -> Result<&'static str, String> {
        let line = self.0.lines().find(|line| holds(line, address));
        let line = line.ok_or_else(|| format!("no entry for {address:#x} in:\n{}", self.0))?;
        let has = |bit| line.split_whitespace().any(|word| word == bit);
        match (has("PAT"), has("PCD"), has("PWT")) {
            (false, false, false) => Ok("cached"),
            (false, false, true) => Ok("write-combining"),
            (false, true, false) => Ok("uncached"),
            _ => Err(format!("unexpected policy: {line}")),
        }
    }
}

/// Returns whether a line `0xFIRST-0xEND SIZE FLAGS pte` is of a present range with the address.
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
