// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `bench`: the rows of the benchmark that the guest can measure alone.

use crate::error::Error;
use crate::options::Bench as Options;
use crate::output;
use clap::builder::PossibleValuesParser;
use ringbar_bench::{plans, table, Bench, Line};
use ringbar_client::Device;
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// A measured row. The first one also prints the head of the table.
#[derive(Serialize)]
struct Shown {
    #[serde(skip)]
    first: bool,
    #[serde(flatten)]
    line: Line,
}

/// Returns the names of all rows, for the command line.
pub(crate) fn row() -> PossibleValuesParser {
    PossibleValuesParser::new(plans().into_iter().map(|plan| plan.name))
}

/// Measures the chosen rows and prints each at once.
pub(crate) fn run(node: &Path, options: &Options, json: bool) -> Result<(), Error> {
    // Fails early: without a device each row would fail on its own.
    Device::open(node)?;
    let mut bench = Bench::new(node, None);
    let named = |name: &str| options.rows.is_empty() || options.rows.iter().any(|row| row == name);
    let chosen = plans().into_iter().filter(|plan| named(plan.name));
    for (number, plan) in chosen.enumerate() {
        let line = plan.measure(&mut bench, options.pairs as usize);
        let shown = Shown {
            first: number == 0,
            line,
        };
        output::print(json, &shown)?;
    }
    Ok(())
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first {
            write!(f, "{}\n\n{}", table::LEGEND, table::HEADER)?;
        }
        match &self.line {
            Line::Row(row) => write!(f, "{}", table::line(row)),
            Line::LeftOut(row) => writeln!(f, "| {}: {} |", row.name, row.reason),
        }
    }
}
