// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The kernel's memory as blocks, of which some come and go.

use ringbar_client::Mapping;
use ringbar_tests::{page_size, pages, until};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Folder of the blocks.
const FOLDER: &str = "/sys/devices/system/memory";

/// What the kernel does with memory that comes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Online {
    /// It serves for all, so a page that is pinned for long can stay there.
    ForAll,
    /// It is a zone of movable pages, so that it can be taken away. The kernel moves a page elsewhere before
    /// a device gets it.
    Movable,
}

/// Numbers of blocks that are online.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blocks(BTreeSet<u64>);

/// Returns whether this kernel can take memory.
pub(crate) fn can_grow() -> bool {
    Path::new(FOLDER).join("auto_online_blocks").exists()
}

/// Has the kernel bring memory that comes online in this way.
pub(crate) fn bring_online(how: Online) {
    let word = match how {
        Online::ForAll => "online_kernel",
        Online::Movable => "online_movable",
    };
    fs::write(format!("{FOLDER}/auto_online_blocks"), word).expect("the kernel knows the word");
}

/// Returns the size of a block in bytes.
pub(crate) fn block_size() -> u64 {
    let text = fs::read_to_string(format!("{FOLDER}/block_size_bytes")).expect("a size");
    u64::from_str_radix(text.trim(), 16).expect("a hexadecimal number")
}

impl Blocks {
    /// Returns those that are online now.
    pub(crate) fn now() -> Self {
        let entries = fs::read_dir(FOLDER).expect("the kernel has blocks of memory");
        let numbers = entries.filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry
                .file_name()
                .to_str()?
                .strip_prefix("memory")?
                .parse()
                .ok()?;
            // It may go meanwhile.
            let state = fs::read_to_string(entry.path().join("state")).ok()?;
            (state.trim() == "online").then_some(number)
        });
        Self(numbers.collect())
    }

    /// Returns those that came since `before`, once they have so many bytes.
    #[track_caller]
    pub(crate) fn since(before: &Self, bytes: u64) -> Self {
        let mut came = Self(BTreeSet::new());
        until("the new memory is online", || {
            came.0 = Self::now().0.difference(&before.0).copied().collect();
            came.bytes() >= bytes
        });
        came
    }

    /// Returns the number of bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.len() as u64 * block_size()
    }

    /// Returns the number of pages of a mapping that are in one of the blocks.
    pub(crate) fn pages(&self, memory: &Mapping) -> usize {
        let size = block_size();
        let block = |frame: u64| frame * page_size() as u64 / size;
        let frames = pages::frames(memory.as_ptr().addr(), memory.len());
        let inside = frames
            .into_iter()
            .filter(|frame| self.0.contains(&block(*frame)));
        inside.count()
    }
}

/// Returns the memory that the kernel counts as its own, in MiB.
pub(crate) fn total() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").expect("procfs is mounted");
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.expect("it is counted").trim_end_matches("kB").trim();
    kib.parse::<u64>().expect("a number") >> 10
}
