// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Cost of QEMU's plugin: ratios of the same run with and without it.

use crate::error::Error;
use crate::report::{self, Report};
use ringbar_bench::{Goal, Op, Row};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// Goal for the boot, in which the plugin is loaded but watches nothing.
const NOT_WATCHING: Goal = Goal {
    op: Op::AtMost,
    value: 1.2,
};

/// The parts of `results.json` that are needed.
#[derive(Debug, Deserialize)]
struct Results {
    runs: Vec<Run>,
}

#[derive(Debug, Deserialize)]
struct Run {
    /// Seconds until the driver is loaded.
    booted: f64,
    programs: Vec<Program>,
}

#[derive(Debug, Deserialize)]
struct Program {
    name: String,
    seconds: f64,
}

/// Writes `bench-trace.json` and `bench-trace.md`. Returns the table. `runs` are paths of
/// `results.json` in pairs: with the plugin, then without.
pub(crate) fn make(runs: &[PathBuf], environment: &[String], out: &Path) -> Result<String, Error> {
    let runs = runs.iter().map(|path| read(path));
    let runs = runs.collect::<Result<Vec<_>, _>>()?;
    let mut report = Report::new(environment);
    report.ratios = rows(&runs)?;
    report::write(&report, out, "bench-trace")
}

/// Reads the first run of a `results.json`.
fn read(path: &Path) -> Result<Run, Error> {
    let text = fs::read_to_string(path).map_err(Error::file(path))?;
    let wrong = |reason: String| Error::Results {
        path: path.to_owned(),
        reason,
    };
    let results: Results = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let first = results.runs.into_iter().next();
    first.ok_or_else(|| wrong("it has no run".to_owned()))
}

/// Returns the row of the boot, then one row per program that all runs have.
fn rows(runs: &[Run]) -> Result<Vec<Row>, Error> {
    let (pairs, rest) = runs.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Error::Pairs { count: runs.len() });
    }
    let sides = (("with the plugin", "s"), ("without", "s"));
    let row = |name: &str, what: &str, goal, seconds: &dyn Fn(&Run) -> Option<f64>| {
        let pairs = pairs.iter();
        let pairs: Option<Vec<_>> = pairs
            .map(|[with, without]| Some((seconds(with)?, seconds(without)?)))
            .collect();
        Row::new((name, what, "x"), goal, sides, &pairs?)
    };
    let boot = row(
        "boot-with-plugin",
        "boot until the driver is loaded, nothing watched yet: with QEMU's plugin / without",
        Some(NOT_WATCHING),
        &|run| Some(run.booted),
    );
    let programs = runs.first().map_or(&[][..], |run| &run.programs);
    let watched = programs.iter().filter_map(|Program { name, .. }| {
        row(
            &format!("{name}-watched"),
            &format!("`{name}`: with its code and the kernel's watched / without the plugin"),
            None,
            &|run| {
                Some(
                    run.programs
                        .iter()
                        .find(|program| program.name == *name)?
                        .seconds,
                )
            },
        )
    });
    Ok(boot.into_iter().chain(watched).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(booted: f64, programs: &[(&str, f64)]) -> Run {
        let program = |(name, seconds): &(&str, f64)| Program {
            name: (*name).to_owned(),
            seconds: *seconds,
        };
        Run {
            booted,
            programs: programs.iter().map(program).collect(),
        }
    }

    #[test]
    fn ratio_is_run_with_plugin_over_run_without() {
        let runs = [
            run(3.0, &[("dma", 8.0)]),
            run(2.0, &[("dma", 2.0)]),
            run(3.0, &[("dma", 8.0)]),
            run(2.0, &[("dma", 2.0)]),
        ];

        let rows = rows(&runs).expect("pairs");

        let found: Vec<_> = rows.iter().map(|row| (&*row.name, row.median)).collect();
        assert_eq!(found, [("boot-with-plugin", 1.5), ("dma-watched", 4.0)]);
        assert_eq!(rows[0].pairs, 2);
    }

    #[test]
    fn program_missing_in_one_run_has_no_row() {
        let rows = rows(&[run(1.0, &[("dma", 1.0)]), run(1.0, &[])]).expect("pairs");

        assert_eq!(rows.len(), 1);
    }

    #[test]
    fn unpaired_run_is_refused() {
        let error = rows(&[run(1.0, &[])]).expect_err("one run");

        assert_eq!(error.to_string(), "1 results do not make pairs");
    }
}
