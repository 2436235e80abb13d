// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The table of kinds in the driver's README.

use ringbar_tests::rules::Debugger;

const README: &str = include_str!("../../../../../guest-driver/README.md");

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) kind: &'static str,
    /// Flags of smaps.
    pub(crate) flags: &'static str,
    /// The policy that the driver asks for; `none` if no page table entry can be read back.
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
            Row {
                kind: cells[0],
                flags: cells[1],
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
