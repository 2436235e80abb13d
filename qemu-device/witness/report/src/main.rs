// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Joins the records of a run, checks them, and draws them.
//!
//! Input: the records of the TCG plugin and the device server, and the runner's results. Output: a
//! timeline as JSON lines and in the Chrome trace format, and a page of HTML.
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
mod names;
mod operations;
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

use clap::Parser;

use crate::complaint::Complaint;
use crate::coverage::Coverage;
use crate::error::Error;
use crate::names::Names;
use crate::run::Run;
use crate::witness::Testimony;

/// Joins the records of a run, checks them, and draws them.
///
/// Exit status: 0 if all claims hold, 1 if a claim is broken or there is no report, 2 if the
/// command line is wrong.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Folder with the logs of a run
    #[arg(long, value_name = "DIR")]
    logs: PathBuf,
    /// File with the runner's results
    #[arg(long, value_name = "FILE")]
    results: PathBuf,
    /// The driver's module, with debug information
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// File with the paths of the guest's programs, which have debug information
    #[arg(long, value_name = "FILE")]
    programs: PathBuf,
    /// Ratios of a benchmark, if the file exists; may be given more than once
    #[arg(long, value_name = "FILE")]
    bench: Vec<PathBuf>,
    /// Versions that made the run; the tested ones by default
    #[arg(long, value_name = "FILE")]
    versions: Option<PathBuf>,
    /// Folder for the timeline and the page
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match report(&options) {
        Ok(complaints) if complaints.is_empty() => return ExitCode::SUCCESS,
        Ok(complaints) => tell(&complaints, &options.out),
        Err(error) => eprintln!("ringbar: FAILED: {error}"),
    }
    // In the form in which the runner ends a failed run. The run itself may have passed.
    eprintln!("logs:  {}", options.logs.display());
    if let Some(again) = again(&options) {
        eprintln!("again: {again}");
    }
    ExitCode::FAILURE
}

/// Prints the first complaints, and where the others are.
fn tell(complaints: &[Complaint], out: &Path) {
    let shown = complaint::shown(complaints);
    for complaint in &shown {
        eprintln!("ringbar: FAILED: witness: {complaint}");
    }
    match complaints.len().saturating_sub(shown.len()) {
        0 => {}
        more => eprintln!(
            "ringbar: FAILED: witness: {more} more, on the page: {}",
            page_path(out).display()
        ),
    }
}

/// Returns the path of the page.
fn page_path(out: &Path) -> PathBuf {
    out.join("report.html")
}

/// Returns the command that repeats the run, if the results have it.
fn again(options: &Options) -> Option<String> {
    let results = results::read(&options.results).ok()?;
    let name = options.logs.file_name()?;
    let run = results.runs.into_iter().find(|run| *run.name == *name);
    run.map(|run| run.again)
}

/// Makes the report. Returns the complaints of the witness.
fn report(options: &Options) -> Result<Vec<Complaint>, Error> {
    let results = results::read(&options.results)?;
    let records = run::read(&options.logs)?;
    let names = Names::load(&options.module, &options.programs, &records)?;
    let run = Run::join(records, &names);
    let testimony = if run.recorded {
        witness::examine(&run)
    } else {
        Testimony::default()
    };
    // For tools and tests that look for a single complaint.
    let told = testimony.complaints.iter();
    let told: String = told.map(|complaint| format!("{complaint}\n")).collect();
    write(&options.logs.join("witness.txt"), &told)?;
    let coverage = Coverage::of(&run);
    write(&options.out.join("timeline.jsonl"), &run.lines()?)?;
    let trace = options.out.join("timeline.json");
    match chrome::timeline(&run)? {
        Some(text) => write(&trace, &text)?,
        // One of an earlier run would pass for this one's. An error means that there is none.
        None => drop(fs::remove_file(&trace)),
    }
    let bench = bench::read(&options.bench)?;
    let versions = options.versions.as_deref().map(read).transpose()?;
    let log = |name| fs::read_to_string(options.logs.join(name)).unwrap_or_default();
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
    let path = page_path(&options.out);
    write(&path, &page)?;
    // A server may forbid the same style inside the page.
    write(&options.out.join(page::STYLE_FILE), paint::STYLE)?;
    println!("report: {}", path.display());
    Ok(testimony.complaints)
}

/// Reads a file.
fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::file("read", path, source))
}

/// Writes a file.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::file("written", path, source))
}
