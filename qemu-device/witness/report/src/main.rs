// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Joins the records of a run, checks them, and draws them.
//!
//! `judge` takes the records of the TCG plugin and the device server, and prints complaints. The
//! runner calls it before it writes its results. `draw` takes the results as well. It writes a
//! timeline as JSON lines and in the Chrome trace format, and a page of HTML. `coverage` is for runs
//! that recorded executed code: [`lines`] finds the lines of the driver in it.
//!
//! [`run`] is the joined run, and [`names`] finds the code at an address. [`witness`] compares the
//! run with the claims of tests and documents. [`coverage`] counts uses, [`operations`] follows
//! each operation, and [`page`] renders the page.

mod balance;
mod bench;
mod bench_picture;
mod chrome;
mod complaint;
mod coverage;
mod device_picture;
mod error;
mod life_picture;
mod lines;
mod names;
mod object_file;
mod operations;
mod options;
mod other_registers;
mod page;
mod paint;
mod picture;
mod readme;
mod results;
mod run;
mod split;
mod witness;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;

use crate::coverage::Coverage;
use crate::error::Error;
use crate::names::Names;
use crate::options::{Command, Covering, Drawing, Options, Recorded};
use crate::run::Run;
use crate::witness::Testimony;

fn main() -> ExitCode {
    match Options::parse().command {
        Command::Judge(recorded) => judge(&recorded),
        Command::Coverage(covering) => cover(&covering),
        Command::Draw(drawing) => match draw(&drawing) {
            Ok(page) => {
                println!("report: {}", page.display());
                ExitCode::SUCCESS
            }
            Err(error) => {
                // In the form in which the runner ends a failed run. The run itself may have
                // passed.
                eprintln!("ringbar: FAILED: {error}");
                eprintln!("logs:  {}", drawing.recorded.logs.display());
                if let Some(again) = again(&drawing) {
                    eprintln!("again: {again}");
                }
                ExitCode::FAILURE
            }
        },
    }
}

/// Prints the complaints of the witness for the runner, which shows the first ones.
fn judge(recorded: &Recorded) -> ExitCode {
    let run = match joined(recorded) {
        Ok(run) => run,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let complaints = witness::examine(&run).complaints;
    for complaint in complaint::in_turns(&complaints) {
        // A claim is text of the guest.
        println!("{}", complaint.to_string().replace(char::is_control, " "));
    }
    match complaints.as_slice() {
        [] => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Prints the lines of the driver that runs have reached.
fn cover(covering: &Covering) -> ExitCode {
    match lines::cover(covering) {
        Ok(outcome) => {
            print!("{}", outcome.text);
            println!("report: {}", outcome.page.display());
            for complaint in &outcome.complaints {
                eprintln!("ringbar: FAILED: {complaint}");
            }
            match outcome.complaints.as_slice() {
                [] => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            }
        }
        Err(error) => {
            eprintln!("ringbar: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads and joins the records of a run.
fn joined(recorded: &Recorded) -> Result<Run, Error> {
    let records = run::read(&recorded.logs)?;
    let names = Names::load(recorded, &records)?;
    Ok(Run::join(records, &names))
}

/// Returns the command that repeats the run, if the results have it.
fn again(drawing: &Drawing) -> Option<String> {
    let results = results::read(&drawing.results).ok()?;
    let name = drawing.recorded.logs.file_name()?;
    let run = results.runs.into_iter().find(|run| *run.name == *name);
    run.map(|run| run.again)
}

/// Makes the report. Returns the path of the page.
fn draw(drawing: &Drawing) -> Result<PathBuf, Error> {
    let results = results::read(&drawing.results)?;
    let run = joined(&drawing.recorded)?;
    let testimony = match run.recorded {
        true => witness::examine(&run),
        false => Testimony::default(),
    };
    let coverage = Coverage::of(&run);
    write(&drawing.out.join("timeline.jsonl"), &run.lines()?)?;
    let trace = drawing.out.join("timeline.json");
    match chrome::timeline(&run)? {
        Some(text) => write(&trace, &text)?,
        // One of an earlier run would pass for this one's. An error means that there is none.
        None => drop(fs::remove_file(&trace)),
    }
    let bench = bench::read(&drawing.bench)?;
    let versions = drawing.versions.as_deref().map(read).transpose()?;
    let log = |name| fs::read_to_string(drawing.recorded.logs.join(name)).unwrap_or_default();
    let page = page::render(&page::Content {
        results: &results,
        run: &run,
        coverage: &coverage,
        testimony: &testimony,
        operations: &operations::of(&run),
        bench: bench.as_ref(),
        versions: versions.as_deref(),
        commands: &[
            ("QEMU", log("qemu-command.txt")),
            ("server", log("server-command.txt")),
        ],
    });
    let path = drawing.out.join("report.html");
    write(&path, &page)?;
    // A server may forbid the same style inside the page.
    write(&drawing.out.join(page::STYLE_FILE), paint::STYLE)?;
    Ok(path)
}

/// Reads a file.
fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::file("read", path, source))
}

/// Writes a file.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::file("written", path, source))
}
