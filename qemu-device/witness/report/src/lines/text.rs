// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The result as text for a terminal, and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::merge::{Counts, Merged};
use super::reasons::Reasons;
use crate::error::Error;

/// Lines of the driver that runs have reached.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Names of the runs.
    pub(crate) runs: Vec<String>,
    #[serde(flatten)]
    pub(crate) total: Counts,
    pub(crate) files: Vec<FileReport>,
}

/// A file with its unreached lines.
#[derive(Debug, Serialize)]
pub(crate) struct FileReport {
    pub(crate) file: String,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) unreached: Vec<Unreached>,
}

/// A line that no run has reached.
#[derive(Debug, Serialize)]
pub(crate) struct Unreached {
    pub(crate) line: u32,
    pub(crate) function: String,
    pub(crate) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl Report {
    /// Collects the result. `sources` has the lines of the files.
    pub(crate) fn new(
        merged: &Merged,
        sources: &BTreeMap<String, Vec<String>>,
        reasons: &Reasons,
        runs: &[String],
    ) -> Self {
        let text = |file: &str, number: u32| {
            let index = usize::try_from(number).ok()?.checked_sub(1)?;
            Some(sources.get(file)?.get(index)?.trim().to_owned())
        };
        let files = merged.files.iter().map(|(path, file)| FileReport {
            file: path.clone(),
            counts: file.counts(),
            unreached: file
                .unreached()
                .map(|(line, state)| Unreached {
                    line,
                    function: state.function.clone(),
                    text: text(path, line).unwrap_or_default(),
                    reason: reasons.of(path, &state.function).map(str::to_owned),
                })
                .collect(),
        });
        Self {
            runs: runs.to_vec(),
            total: merged.total(),
            files: files.collect(),
        }
    }

    /// Returns the report as JSON.
    pub(crate) fn json(&self) -> Result<String, Error> {
        let mut text = serde_json::to_string_pretty(self).map_err(Error::Coverage)?;
        text.push('\n');
        Ok(text)
    }

    /// Returns the unreached lines, and the table of all files.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        for file in &self.files {
            for line in &file.unreached {
                let mark = if line.reason.is_some() {
                    "explained"
                } else {
                    ""
                };
                let Unreached {
                    line,
                    function,
                    text,
                    ..
                } = line;
                let place = format!("{}:{line}", file.file);
                let _ = writeln!(out, "{place:<46} {mark:<9} {function}: {text}");
            }
        }
        let _ = writeln!(
            out,
            "{:<46} {:>6} {:>8} {:>6} {:>6} {:>9}",
            "file", "lines", "reached", "%", "jumps", "both ways"
        );
        let rows = self
            .files
            .iter()
            .map(|file| (file.file.as_str(), file.counts));
        for (name, counts) in rows.chain([("all", self.total)]) {
            let _ = writeln!(
                out,
                "{name:<46} {:>6} {:>8} {:>6.1} {:>6} {:>9}",
                counts.lines,
                counts.reached,
                counts.percent(),
                counts.jumps,
                counts.both_ways
            );
        }
        out
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::lines::merge::{File, State};

    /// A report of one file with three lines, one of them unreached.
    pub(crate) fn report() -> Report {
        let mut file = File::default();
        for (number, reached) in [(1, true), (2, false), (3, true)] {
            let function = "f".to_owned();
            file.lines.insert(number, State { function, reached });
        }
        let mut merged = Merged::default();
        merged.files.insert("guest-driver/a.rs".to_owned(), file);
        let lines = ["fn f() {", "    <gone>();", "}"].map(str::to_owned);
        let sources = [("guest-driver/a.rs".to_owned(), lines.into())].into();
        Report::new(
            &merged,
            &sources,
            &Reasons::default(),
            &["stock-msix".to_owned()],
        )
    }

    #[test]
    fn table_comes_last_with_its_sum() {
        let text = report().text();

        let lines: Vec<_> = text.lines().collect();
        let [unreached, head, file, all] = lines.as_slice() else {
            panic!("{text}");
        };
        assert!(
            unreached.starts_with("guest-driver/a.rs:2 ") && unreached.ends_with("f: <gone>();")
        );
        assert!(head.starts_with("file "));
        let words: Vec<_> = file.split_whitespace().collect();
        assert_eq!(words, ["guest-driver/a.rs", "3", "2", "66.6", "0", "0"]);
        assert!(all.starts_with("all "));
    }

    #[test]
    fn json_has_total_files_and_lines() {
        let json = report().json().expect("JSON");

        let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(value["reached"], 2);
        assert_eq!(value["files"][0]["unreached"][0]["text"], "<gone>();");
        assert_eq!(value["runs"][0], "stock-msix");
    }
}
