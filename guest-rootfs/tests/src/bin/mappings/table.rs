// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The table of kinds in the driver's README.

use std::path::Path;

const README: &str = include_str!("../../../../../guest-driver/README.md");

/// Access of a debugger to a kind, through a mapping with all the rights that the process may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Debugger {
    Writes,
    Reads,
    Refused,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) kind: &'static str,
    /// Flags of smaps, sorted.
    pub(crate) flags: Vec<&'static str>,
    /// The name in debugfs; `none` if no page table entry can be read back.
    pub(crate) policy: &'static str,
    pub(crate) writable: bool,
    pub(crate) inherited: bool,
    pub(crate) debugger: Debugger,
}

/// Returns all rows.
pub(crate) fn rows() -> Vec<Row> {
    README
        .lines()
        .skip_while(|line| !line.starts_with("| kind | flags | policy |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let mut flags: Vec<&str> = cells[1].split_whitespace().map(resolve).collect();
            flags.sort_unstable();
            Row {
                kind: cells[0],
                flags,
                policy: cells[2],
                writable: cells[3] == "yes",
                inherited: cells[4] == "inherits it",
                debugger: match cells[5] {
                    "reads and writes" => Debugger::Writes,
                    "reads" => Debugger::Reads,
                    "refused" => Debugger::Refused,
                    other => panic!("{}: debugger: {other}", cells[0]),
                },
            }
        })
        .collect()
}

/// Returns the row of a kind.
pub(crate) fn row(kind: &str) -> Row {
    let row = rows().into_iter().find(|row| row.kind == kind);
    row.unwrap_or_else(|| panic!("guest-driver/README.md has no row for {kind}"))
}

/// Returns the flag for a word of the table. The DMA API decides which flag `dma` stands for.
fn resolve(flag: &'static str) -> &'static str {
    let iommu = Path::new("/sys/class/misc/ringbar0/device/iommu_group").exists();
    match (flag, iommu) {
        ("dma", true) => "mm",
        ("dma", false) => "pf",
        (flag, _) => flag,
    }
}
