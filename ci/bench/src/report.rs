// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Joins the figures of guest and host.

use crate::error::Error;
use crate::table;
use ringbar_bench::{Goal, LeftOut, Line, Op, Row};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Prefix of the guest's lines with rows, as KTAP comments.
const MARK: &str = "# bench ";

/// `bench.json`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Rows that were measured.
    pub(crate) ratios: Vec<Row>,
    /// Rows that could not be measured, with reasons.
    pub(crate) left_out: Vec<LeftOut>,
    /// Conditions of the measurement.
    pub(crate) environment: BTreeMap<String, String>,
}

impl Report {
    /// Returns a report without rows. `environment` holds pairs `NAME=VALUE`.
    pub(crate) fn new(environment: &[String]) -> Self {
        let pairs = environment.iter().filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            ratios: Vec::new(),
            left_out: Vec::new(),
            environment: pairs.collect(),
        }
    }
}

/// Rows of whole runs, by their name in the file of times.
const TIMES: &[(&str, &str, Option<f64>, &str, &str)] = &[
    (
        "boot",
        "boot to power-off, driver loaded: with the idle device / without a device",
        Some(1.05),
        "QEMU's time with the device",
        "QEMU's time without",
    ),
    (
        "boot-limit",
        "boot to power-off, driver loaded: without a device once more / without a device",
        None,
        "QEMU's time without, once more",
        "QEMU's time without",
    ),
    (
        "make-run",
        "`make run TESTS=registers`, all built / bare boot of the same kernel",
        Some(1.4),
        "make run",
        "QEMU's time without a device",
    ),
];

/// Writes `bench.json` and `bench.md`. Returns the table.
pub(crate) fn make(
    results: &Path,
    times: Option<&Path>,
    environment: &[String],
    out: &Path,
) -> Result<String, Error> {
    let mut report = Report::new(environment);
    let text = fs::read_to_string(results).map_err(Error::file(results))?;
    for line in text
        .lines()
        .filter_map(|line| line.trim().strip_prefix(MARK))
    {
        match serde_json::from_str(line) {
            Ok(Line::Row(row)) => report.ratios.push(row),
            Ok(Line::LeftOut(row)) => report.left_out.push(row),
            Err(error) => {
                return Err(Error::Line {
                    path: results.to_owned(),
                    line: line.to_owned(),
                    reason: error.to_string(),
                })
            }
        }
    }
    if report.ratios.is_empty() {
        return Err(Error::Empty {
            path: results.to_owned(),
        });
    }
    let text = times.map(|path| fs::read_to_string(path).map_err(Error::file(path)));
    whole_runs(&text.transpose()?.unwrap_or_default(), &mut report);
    write(&report, out, "bench")
}

/// Adds the rows of whole runs from lines with name, numerator and denominator.
fn whole_runs(text: &str, report: &mut Report) {
    for (name, what, limit, above, below) in TIMES {
        let pairs: Vec<_> = text.lines().filter_map(|line| pair(line, name)).collect();
        let goal = limit.map(|value| Goal {
            op: Op::AtMost,
            value,
        });
        let sides = ((*above, "s"), (*below, "s"));
        match Row::new((name, what, "x"), goal, sides, &pairs) {
            Some(row) => report.ratios.push(row),
            None => report.left_out.push(LeftOut {
                name: (*name).to_owned(),
                reason: "no whole runs were timed: BOOTS=0".to_owned(),
            }),
        }
    }
}

/// Parses a line of this name.
fn pair(line: &str, name: &str) -> Option<(f64, f64)> {
    let mut words = line.split_whitespace();
    (words.next()? == name).then_some(())?;
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// Writes `NAME.json` and `NAME.md`. Returns the table.
pub(crate) fn write(report: &Report, out: &Path, name: &str) -> Result<String, Error> {
    let table = table::markdown(report);
    let json = serde_json::to_string_pretty(report).map_err(|error| Error::System {
        action: "cannot make JSON",
        source: error.into(),
    })?;
    for (ending, text) in [("json", json + "\n"), ("md", table.clone())] {
        let path = out.join(format!("{name}.{ending}"));
        fs::write(&path, text).map_err(Error::file(&path))?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_runs_become_rows() {
        let mut report = Report::new(&[]);
        whole_runs("boot 3.0 2.0\nboot 6 2\nboot 4 2\nother 1 1\n", &mut report);

        assert_eq!(report.ratios[0].name, "boot");
        assert_eq!((report.ratios[0].median, report.ratios[0].pairs), (2.0, 3));
        let left_out: Vec<_> = report.left_out.iter().map(|row| &row.name).collect();
        assert_eq!(left_out, ["boot-limit", "make-run"]);
    }

    #[test]
    fn truncated_line_is_not_a_pair() {
        assert_eq!(pair("boot 3.0", "boot"), None);
        assert_eq!(pair("boot x 1", "boot"), None);
        assert_eq!(pair("", "boot"), None);
    }
}
