// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Joins what was recorded of a run, checks it, and draws it.
//!
//! In: the records of the TCG plugin and of the device server, and the runner's results. Out: a
//! timeline as JSON lines and in the Chrome trace format, and a page of HTML. [`run`] is the joined
//! run, [`names`] knows whose code an address is, [`witness`] holds the run to what tests and
//! documents say of it, [`coverage`] counts what was exercised, [`page`] draws.

mod chrome;
mod coverage;
mod error;
mod names;
mod page;
mod picture;
mod results;
mod run;
mod witness;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::coverage::Coverage;
use crate::error::Error;
use crate::names::Names;
use crate::run::Run;

/// Joins what was recorded of a run, checks it, and draws it.
///
/// Exit status: 0 if all is well, 1 if the records are not as they must be, 2 if the command line is
/// wrong.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Folder with the logs of a run
    #[arg(long, value_name = "DIR")]
    logs: PathBuf,
    /// The runner's results
    #[arg(long, value_name = "FILE")]
    results: PathBuf,
    /// The driver's module, with debug information
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// A file with the paths of the guest's programs, with debug information
    #[arg(long, value_name = "FILE")]
    programs: PathBuf,
    /// Folder for timeline and page
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

fn main() -> ExitCode {
    match report(&Options::parse()) {
        Ok(complaints) if complaints.is_empty() => ExitCode::SUCCESS,
        Ok(complaints) => {
            for complaint in &complaints {
                eprintln!("ringbar: FAILED: witness: {complaint}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("ringbar: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report(options: &Options) -> Result<Vec<String>, Error> {
    let results = results::read(&options.results)?;
    let records = run::read(&options.logs)?;
    let names = Names::load(&options.module, &options.programs, &records)?;
    let run = Run::join(records, &names);
    let complaints = if run.recorded {
        witness::examine(&run)
    } else {
        Vec::new()
    };
    let coverage = Coverage::of(&run);
    write(&options.out.join("timeline.jsonl"), &run.lines()?)?;
    write(&options.out.join("timeline.json"), &chrome::trace(&run)?)?;
    let command = fs::read_to_string(options.logs.join("qemu-command.txt")).unwrap_or_default();
    let page = page::render(&page::Content {
        results: &results,
        run: &run,
        coverage: &coverage,
        complaints: &complaints,
        command: command.trim(),
    });
    let path = options.out.join("report.html");
    write(&path, &page)?;
    println!("report: {}", path.display());
    Ok(complaints)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::file("written", path, source))
}
