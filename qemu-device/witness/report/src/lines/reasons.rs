// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The document that explains unreached lines: rows `| file | function | lines | reached | reason |`.

use std::collections::BTreeMap;

use super::merge::Merged;

/// A function with the reason for which lines of it are not reached.
#[derive(Debug, PartialEq, Eq)]
struct Reason {
    /// Number of its line in the document.
    row: usize,
    /// Most lines that it explains.
    most: usize,
    /// Whether some runs reach them.
    sometimes: bool,
    text: String,
}

/// All reasons, by file and function.
#[derive(Debug, Default)]
pub(crate) struct Reasons(BTreeMap<(String, String), Reason>);

impl Reasons {
    /// Parses the document.
    pub(crate) fn parse(document: &str) -> Result<Self, String> {
        let mut reasons = Self::default();
        for (row, line) in (1..).zip(document.lines()) {
            let Some(cells) = cells(line) else { continue };
            let [file, function, most, reached, text] = cells.as_slice() else {
                return Err(format!(
                    "line {row} has {} cells, not 5: | file | function | lines | reached | reason |",
                    cells.len()
                ));
            };
            let reason = Reason {
                row,
                most: most
                    .parse()
                    .map_err(|_| format!("line {row}: `{most}` is no number of lines"))?,
                sometimes: match *reached {
                    "never" => false,
                    "sometimes" => true,
                    _ => return Err(format!("line {row}: `{reached}`: write never or sometimes")),
                },
                text: (*text).to_owned(),
            };
            if text.is_empty() {
                return Err(format!("line {row} gives no reason"));
            }
            let name = ((*file).to_owned(), (*function).to_owned());
            if let Some(other) = reasons.0.insert(name, reason) {
                return Err(format!(
                    "line {row} and line {} are of one function",
                    other.row
                ));
            }
        }
        Ok(reasons)
    }

    /// Returns the reason for the unreached lines of a function.
    pub(crate) fn of(&self, file: &str, function: &str) -> Option<&str> {
        let reason = self.0.get(&(file.to_owned(), function.to_owned()))?;
        Some(&reason.text)
    }

    /// Compares the reasons with the lines. `partial` is for runs of a few programs, which leave
    /// more lines unreached.
    pub(crate) fn check(&self, merged: &Merged, partial: bool) -> Vec<String> {
        let functions = functions(merged);
        let mut complaints = Vec::new();
        for ((file, function), reason) in &self.0 {
            let row = reason.row;
            match functions.get(&(file.as_str(), function.as_str())) {
                None if !partial => complaints.push(format!(
                    "guest-driver/coverage.md, line {row}: {file} has no code of `{function}`: remove the row, or correct its names"
                )),
                Some(0) if !reason.sometimes && !partial => complaints.push(format!(
                    "guest-driver/coverage.md, line {row}: all lines of `{function}` in {file} were reached: remove the row"
                )),
                Some(unreached) if *unreached > reason.most && !partial => complaints.push(format!(
                    "guest-driver/coverage.md, line {row}: {unreached} lines of `{function}` in {file} were not reached, the row explains {}: write a test, or correct the row",
                    reason.most
                )),
                // Another kernel's module may have the function, and other programs the line.
                Some(_) | None => {}
            }
        }
        if !partial {
            let unexplained = functions.iter().filter(|((file, function), unreached)| {
                **unreached > 0 && self.of(file, function).is_none()
            });
            complaints.extend(unexplained.map(|((file, function), unreached)| {
                format!("{file}: {unreached} lines of `{function}` were not reached: write a test, or a row with the reason in guest-driver/coverage.md")
            }));
        }
        complaints
    }
}

/// Returns how many lines of each function were not reached.
fn functions(merged: &Merged) -> BTreeMap<(&str, &str), usize> {
    let mut functions = BTreeMap::new();
    for (path, file) in &merged.files {
        for line in file.lines.values() {
            let unreached = functions
                .entry((path.as_str(), line.function.as_str()))
                .or_insert(0);
            *unreached += usize::from(!line.reached);
        }
    }
    functions
}

/// Returns the cells of a row about a file, without backticks around names.
fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let mut cells: Vec<_> = row.split('|').map(str::trim).collect();
    let is_of_a_file = cells.first()?.starts_with('`');
    for cell in cells.iter_mut().take(2) {
        let inner = cell.strip_prefix('`').and_then(|it| it.strip_suffix('`'));
        *cell = inner.unwrap_or(cell);
    }
    is_of_a_file.then_some(cells)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::merge::{File, State};

    /// Lines of one file: function, and whether the line was reached.
    fn merged(lines: &[(&str, bool)]) -> Merged {
        let mut file = File::default();
        for (number, (function, reached)) in (1..).zip(lines) {
            let state = State {
                function: (*function).to_owned(),
                reached: *reached,
            };
            file.lines.insert(number, state);
        }
        let mut merged = Merged::default();
        merged.files.insert("guest-driver/a.rs".to_owned(), file);
        merged
    }

    fn reasons(rows: &str) -> Reasons {
        let head =
            "# A document\n| file | function | lines | reached | reason |\n|---|---|---|---|---|\n";
        Reasons::parse(&format!("{head}{rows}")).expect("reasons")
    }

    const NEVER: &str = "| `guest-driver/a.rs` | `f` | 1 | never | no memory |\n";
    const SOMETIMES: &str = "| `guest-driver/a.rs` | `f` | 1 | sometimes | a race |\n";

    #[test]
    fn unreached_line_with_a_reason_is_accepted() {
        let merged = merged(&[("f", false), ("g", true)]);

        assert_eq!(reasons(NEVER).check(&merged, false), [""; 0]);
        assert_eq!(
            reasons(NEVER).of("guest-driver/a.rs", "f"),
            Some("no memory")
        );
    }

    #[test]
    fn unreached_line_without_a_reason_is_a_complaint() {
        let complaints = reasons("").check(&merged(&[("f", false)]), false);

        assert!(
            complaints[0].contains("1 lines of `f` were not reached"),
            "{complaints:?}"
        );
    }

    #[test]
    fn reason_of_reached_lines_is_a_complaint_unless_they_are_a_matter_of_chance() {
        let merged = merged(&[("f", true)]);

        let complaints = reasons(NEVER).check(&merged, false);
        assert!(
            complaints[0].contains("line 4: all lines of `f`"),
            "{complaints:?}"
        );
        assert_eq!(reasons(SOMETIMES).check(&merged, false), [""; 0]);
    }

    #[test]
    fn reason_of_a_function_that_is_gone_is_a_complaint() {
        let complaints = reasons(NEVER).check(&merged(&[("g", true)]), false);

        assert!(complaints[0].contains("no code of `f`"), "{complaints:?}");
    }

    #[test]
    fn module_of_a_single_kernel_may_lack_a_function() {
        let merged = merged(&[("g", true)]);

        assert_eq!(reasons(NEVER).check(&merged, true), [""; 0]);
    }

    #[test]
    fn reason_does_not_cover_more_lines_than_it_says() {
        let complaints = reasons(NEVER).check(&merged(&[("f", false), ("f", false)]), false);

        assert!(complaints[0].contains("2 lines of `f`"), "{complaints:?}");
    }

    #[test]
    fn run_of_a_few_programs_may_leave_lines_unreached() {
        let merged = merged(&[("f", false), ("f", false), ("g", false)]);

        assert_eq!(reasons(NEVER).check(&merged, true), [""; 0]);
    }

    #[test]
    fn row_that_cannot_be_read_is_told_with_its_line() {
        for row in [
            "| `a` | `f` | 1 | never |",
            "| `a` | `f` | x | never | r |",
            "| `a` | `f` | 1 | often | r |",
            "| `a` | `f` | 1 | never | |",
        ] {
            let error = Reasons::parse(&format!("text\n{row}\n")).expect_err("refused");
            assert!(error.starts_with("line 2"), "{error}");
        }
        let error = Reasons::parse(&NEVER.repeat(2)).expect_err("refused");
        assert_eq!(error, "line 2 and line 1 are of one function");
    }
}
