// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Joins the records of a run, checks them, and draws them.
///
/// Exit status: 0 if all claims hold, the report is drawn or the coverage is sufficient, 1 if not or
/// if the work failed, 2 if the command line is wrong.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Options {
    /// Command to run.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Command to run.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compares the records of a run with the claims of tests and documents. Prints the complaints,
    /// one per line.
    Judge(Recorded),
    /// Draws the page and the timeline of a run, and prints the path of the page.
    Draw(Drawing),
    /// Prints the lines of the driver that runs have reached, and writes them as JSON and as a page.
    Coverage(Covering),
}

/// A run, and the code that it ran.
#[derive(Debug, Default, Args)]
pub(crate) struct Recorded {
    /// Folder with the logs of a run
    #[arg(long, value_name = "DIR")]
    pub(crate) logs: PathBuf,
    /// The driver's module, with debug information
    #[arg(long, value_name = "FILE")]
    pub(crate) module: PathBuf,
    /// File with the paths of the guest's programs, which have debug information
    #[arg(long, value_name = "FILE")]
    pub(crate) programs: PathBuf,
    /// Folder of other sources than the checkout's, as debug information names it: their files are
    /// shown by their paths below it. May be given more than once
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Vec<String>,
}

/// Options of `draw`.
#[derive(Debug, Args)]
pub(crate) struct Drawing {
    #[command(flatten)]
    pub(crate) recorded: Recorded,
    /// File with the runner's results
    #[arg(long, value_name = "FILE")]
    pub(crate) results: PathBuf,
    /// Ratios of a benchmark, if the file exists; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub(crate) bench: Vec<PathBuf>,
    /// Versions that made the run; the tested ones by default
    #[arg(long, value_name = "FILE")]
    pub(crate) versions: Option<PathBuf>,
    /// Folder for the timeline and the page
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// Options of `coverage`.
#[derive(Debug, Args)]
pub(crate) struct Covering {
    /// Folder with the logs of a run that recorded executed code; may be given more than once. The
    /// jumps of the first run's module are counted
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) run: Vec<PathBuf>,
    /// Folder with the sources
    #[arg(long, value_name = "DIR")]
    pub(crate) sources: PathBuf,
    /// Document with the reasons for unreached lines
    #[arg(long, value_name = "FILE")]
    pub(crate) reasons: PathBuf,
    /// Accepts any share of lines, and unreached lines without a reason: not everything ran
    #[arg(long)]
    pub(crate) partial: bool,
    /// Folder for `coverage.json` and `coverage.html`
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}
