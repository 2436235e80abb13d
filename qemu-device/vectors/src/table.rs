// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What came of vectors: a row each, as a line between machines, and all paths side by side.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};

/// Begins a row's line, behind whatever else stands there.
const MARK: &str = "vector: ";

/// What came of a vector on one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Name of the vector. No blanks.
    pub name: String,
    /// How its descriptors ended, by name. No blanks.
    pub ends: String,
    /// Checksum of all completions and of all bytes of all memories afterwards.
    pub digest: u32,
    /// What is not as it must be.
    pub difference: Option<String>,
}

impl Row {
    /// The line that [`Table::read`] understands.
    pub fn line(&self, path: char) -> String {
        let Self {
            name, ends, digest, ..
        } = self;
        let mut line = format!("{MARK}{path} {name} {ends} {digest:08x}");
        if let Some(difference) = &self.difference {
            // A `String` takes whatever is written.
            let _never_fails = write!(line, " {difference}");
        }
        line
    }

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
#[derive(Clone, Debug)]
pub struct Table {
    paths: Vec<char>,
    expected: Vec<Row>,
    /// By path and vector.
    found: BTreeMap<(char, String), Row>,
}

impl Table {
    /// A table of these paths, with what must come of the vectors.
    pub fn new(paths: &[char], expected: Vec<Row>) -> Self {
        Self {
            paths: paths.to_vec(),
            expected,
            found: BTreeMap::new(),
        }
    }

    /// Adds a row. Of two runs of a path, one that differs is kept.
    pub fn add(&mut self, path: char, row: Row) {
        let right = |row: &Row| self.expected.iter().any(|it| agrees(it, row));
        let key = (path, row.name.clone());
        if self.found.get(&key).is_none_or(right) {
            self.found.insert(key, row);
        }
    }

    /// Adds all rows that stand in a log.
    pub fn read(&mut self, log: &str) {
        for (path, row) in log.lines().filter_map(Row::parse) {
            self.add(path, row);
        }
    }

    /// What is missing or differs, path by path.
    pub fn differences(&self) -> Vec<String> {
        let mut differences = Vec::new();
        for path in &self.paths {
            for expected in &self.expected {
                let name = &expected.name;
                match self.found.get(&(*path, name.clone())) {
                    None => differences.push(format!("path {path}, {name}: was not run")),
                    Some(row) if !agrees(expected, row) => {
                        differences.push(format!("path {path}, {name}: {}", cell(expected, row)));
                    }
                    Some(_) => {}
                }
            }
        }
        for (path, name) in self.found.keys() {
            if !self.expected.iter().any(|expected| expected.name == *name) {
                differences.push(format!("path {path}, {name}: no such vector"));
            }
        }
        differences
    }
}

fn agrees(expected: &Row, row: &Row) -> bool {
    expected == row
}

/// What a path's cell says.
fn cell(expected: &Row, row: &Row) -> String {
    if agrees(expected, row) {
        return row.ends.clone();
    }
    let why = row.difference.clone();
    let why = why.unwrap_or_else(|| format!("digest {:08x}", row.digest));
    format!("**{}**: {why}", row.ends)
}

impl Display for Table {
    /// As a table of Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| vector | must end | digest |")?;
        for path in &self.paths {
            write!(f, " path {path} |")?;
        }
        writeln!(f, "\n|---|---|---|{}", "---|".repeat(self.paths.len()))?;
        for expected in &self.expected {
            let Row {
                name, ends, digest, ..
            } = expected;
            write!(f, "| {name} | {ends} | {digest:08x} |")?;
            for path in &self.paths {
                match self.found.get(&(*path, name.clone())) {
                    Some(row) => write!(f, " {} |", cell(expected, row))?,
                    None => write!(f, " **not run** |")?,
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
        let mut table = Table::new(&['A', 'C'], vec![row("a", 1)]);

        table.read("noise\n# vector: A a OK 00000001\n");
        table.add('C', row("a", 1));

        assert_eq!(table.differences(), Vec::<String>::new());
        assert!(table
            .to_string()
            .contains("| a | OK | 00000001 | OK | OK |"));
    }

    #[test]
    fn vector_that_was_not_run_is_a_difference() {
        let table = Table::new(&['A'], vec![row("a", 1)]);

        assert_eq!(table.differences(), ["path A, a: was not run"]);
    }

    #[test]
    fn other_digest_is_a_difference_whatever_came_before_and_after() {
        for digests in [[1, 2], [2, 1]] {
            let mut table = Table::new(&['A'], vec![row("a", 1)]);

            for digest in digests {
                table.add('A', row("a", digest));
            }

            assert_eq!(table.differences().len(), 1);
        }
    }

    #[test]
    fn vector_that_is_not_known_is_a_difference() {
        let mut table = Table::new(&['A'], Vec::new());

        table.add('A', row("a", 1));

        assert_eq!(table.differences(), ["path A, a: no such vector"]);
    }
}
