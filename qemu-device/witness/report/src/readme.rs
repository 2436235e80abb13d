// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tables of the driver's README. The report checks and draws their contents.

const README: &str = include_str!("../../../../guest-driver/README.md");

/// Returns the cells of a table's row after the first one, which is `name`.
pub(crate) fn row(name: &str) -> Option<impl Iterator<Item = &'static str>> {
    README.lines().find_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        (cells.next()? == name).then_some(cells)
    })
}
