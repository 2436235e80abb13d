// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Results of vectors: one row each, as a line between machines, and all paths side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Write};

/// Start of a row in a line of a log.
const MARK: &str = "vector: ";

/// Result of a vector on one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Name of the vector. No blanks.
    pub name: String,
    /// Outcomes of its descriptors, by name. No blanks.
    pub ends: String,
    /// Checksum of all completions and of all bytes of all memories afterwards.
    pub digest: u32,
    /// The first thing that is wrong, if one is.
    pub difference: Option<String>,
}

impl Row {
    /// Returns the line that [`Table::read`] understands.
    pub fn line(&self, path: char) -> String {
        let Self {
            name, ends, digest, ..
        } = self;
        let mut line = format!("{MARK}{path} {name} {ends} {digest:08x}");
        if let Some(difference) = &self.difference {
            // Writing to a `String` never fails.
            let _never_fails = write!(line, " {difference}");
        }
        line
    }

    /// Parses a line; `None` if it has no row.
    fn parse(line: &str) -> Option<(char, Self)> {
        let (_, line) = line.split_once(MARK)?;
        let mut words = line.trim_end().splitn(5, ' ');
        let path = words.next()?.parse().ok()?;
        Some((
            path,
            Self {
                name: words.next()?.into(),
                ends: words.next()?.into(),
                digest: u32::from_str_radix(words.next()?, 16).ok()?,
                difference: words.next().map(str::to_owned),
            },
        ))
    }
}

/// Vector by path.
#[derive(Clone, Debug, Default)]
pub struct Table {
    expected: Vec<Expected>,
    /// By path and vector.
    found: BTreeMap<(char, String), Row>,
}

/// Row that these paths must have.
#[derive(Clone, Debug)]
struct Expected {
    paths: String,
    row: Row,
}

impl Table {
    /// Expects these rows on each of the paths.
    pub fn expect(&mut self, paths: &str, rows: impl IntoIterator<Item = Row>) {
        self.expected.extend(rows.into_iter().map(|row| Expected {
            paths: paths.into(),
            row,
        }));
    }

    /// Adds a row. Of two runs of a path, one that differs is kept.
    pub fn add(&mut self, path: char, row: Row) {
        // A right row may be replaced, a wrong one stays: otherwise a second run would hide the
        // first one's fault.
        let right = |row: &Row| self.expected.iter().any(|it| it.row == *row);
        let key = (path, row.name.clone());
        if self.found.get(&key).is_none_or(right) {
            self.found.insert(key, row);
        }
    }

    /// Adds all rows in a log.
    pub fn read(&mut self, log: &str) {
        for (path, row) in log.lines().filter_map(Row::parse) {
            self.add(path, row);
        }
    }

    /// Returns everything that is missing or differs.
    pub fn differences(&self) -> Vec<String> {
        let mut differences = Vec::new();
        for Expected { paths, row: must } in &self.expected {
            for path in paths.chars() {
                let found = self.found.get(&(path, must.name.clone()));
                if found != Some(must) {
                    let is = cell(must, found);
                    differences.push(format!("path {path}, {}: {is}", must.name));
                }
            }
        }
        for (path, name) in self.found.keys() {
            let due = |it: &Expected| it.row.name == *name && it.paths.contains(*path);
            if !self.expected.iter().any(due) {
                differences.push(format!("path {path}, {name}: not in the list of vectors"));
            }
        }
        differences
    }

    /// Returns all paths, in order.
    fn paths(&self) -> BTreeSet<char> {
        self.expected
            .iter()
            .flat_map(|it| it.paths.chars())
            .collect()
    }
}

/// Returns the text for the cell of a path.
fn cell(must: &Row, found: Option<&Row>) -> String {
    match found {
        None => "**not run**".into(),
        Some(row) if row == must => row.ends.clone(),
        Some(row) => {
            let why = row.difference.clone();
            let why = why.unwrap_or_else(|| format!("digest {:08x}", row.digest));
            format!("**{}**: {why}", row.ends)
        }
    }
}

impl Display for Table {
    /// Writes a table of Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = self.paths();
        write!(f, "| vector | must end | digest |")?;
        for path in &paths {
            write!(f, " path {path} |")?;
        }
        writeln!(f, "\n|---|---|---|{}", "---|".repeat(paths.len()))?;
        for Expected { paths: due, row } in &self.expected {
            let Row {
                name, ends, digest, ..
            } = row;
            write!(f, "| {name} | {ends} | {digest:08x} |")?;
            for path in &paths {
                if due.contains(*path) {
                    let found = self.found.get(&(*path, name.clone()));
                    write!(f, " {} |", cell(row, found))?;
                } else {
                    write!(f, " |")?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, digest: u32) -> Row {
        Row {
            name: name.into(),
            ends: "OK".into(),
            digest,
            difference: None,
        }
    }

    /// A table that expects one vector.
    fn table(paths: &str) -> Table {
        let mut table = Table::default();
        table.expect(paths, [row("a", 1)]);
        table
    }

    #[test]
    fn line_of_a_row_is_read_back() {
        let rows = [
            row("a", 0x00ab_cdef),
            Row {
                difference: Some("byte 0x1 is wrong".into()),
                ..row("b", 7)
            },
        ];

        for row in rows {
            let line = format!("    # {}", row.line('B'));
            assert_eq!(Row::parse(&line), Some(('B', row)));
        }
    }

    #[test]
    fn paths_that_agree_have_no_differences() {
        let mut table = table("AC");

        table.read("noise\n# vector: A a OK 00000001\n");
        table.add('C', row("a", 1));

        assert_eq!(table.differences(), Vec::<String>::new());
        assert!(table
            .to_string()
            .contains("| a | OK | 00000001 | OK | OK |"));
    }

    #[test]
    fn missing_vector_is_a_difference() {
        assert_eq!(table("A").differences(), ["path A, a: **not run**"]);
    }

    #[test]
    fn other_digest_is_a_difference_whatever_came_before_and_after() {
        for digests in [[1, 2], [2, 1]] {
            let mut table = table("A");

            for digest in digests {
                table.add('A', row("a", digest));
            }

            assert_eq!(table.differences().len(), 1);
        }
    }

    #[test]
    fn unlisted_vector_is_a_difference() {
        let mut table = table("A");

        table.add('A', row("a", 1));
        table.add('A', row("b", 1));
        table.add('B', row("a", 1));

        let asked = [
            "path A, b: not in the list of vectors",
            "path B, a: not in the list of vectors",
        ];
        assert_eq!(table.differences(), asked);
    }

    #[test]
    fn vector_without_a_path_has_an_empty_cell() {
        let mut table = table("A");
        table.expect("B", [row("b", 2)]);

        table.add('A', row("a", 1));
        table.add('B', row("b", 2));

        assert_eq!(table.differences(), Vec::<String>::new());
        assert!(table
            .to_string()
            .ends_with("| b | OK | 00000002 | | OK |\n"));
    }
}
