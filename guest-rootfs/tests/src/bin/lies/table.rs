// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Expected outcomes, from the table of the driver's README.

use ringbar_lies::Lie;

/// The driver's README.
const README: &str = include_str!("../../../../../guest-driver/README.md");
/// Lines above the tables: of outcomes, and of lines in the log.
const BEGIN: &str = "<!-- table: lies -->";
const LINES: &str = "<!-- table: lines of the log -->";

/// The columns behind the name of the lie.
pub(crate) const COLUMNS: [&str; 8] = [
    "EXECUTE",
    "TRANSFER",
    "mapped ring",
    "WAIT",
    "poll",
    "new objects",
    "bind again",
    "comes back by",
];

/// Returns the expected words of a lie, in the order of [`COLUMNS`]. A cell may have several, with
/// `or` between.
#[track_caller]
pub(crate) fn row(lie: Lie) -> [Vec<&'static str>; COLUMNS.len()] {
    let mut rows = rows(BEGIN);
    let head = rows.next().expect("the table has a head");
    assert_eq!(head[1..], COLUMNS, "the columns of the README's table");
    let row = rows.find(|row| row[0] == lie.name());
    let row = row.unwrap_or_else(|| panic!("the README's table lacks {}", lie.name()));
    std::array::from_fn(|index| row[index + 1].split(" or ").collect())
}

/// Returns what the driver logs when it meets a device that tells this lie, if the README has it.
pub(crate) fn line(lie: Lie) -> Option<&'static str> {
    let row = rows(LINES).find(|row| row[0] == lie.name())?;
    Some(row[1].trim_matches('`'))
}

/// Returns the rows of a table of the README, the head first.
fn rows(begin: &str) -> impl Iterator<Item = Vec<&'static str>> {
    let (_, table) = README.split_once(begin).expect("the README has the table");
    let rows = table.trim_start().lines();
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}
