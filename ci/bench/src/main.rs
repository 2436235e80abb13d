// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The host's part of `make bench`: figures that the guest asks for while it measures, and the table of
//! all that was measured.

mod error;
mod measure;
mod report;
mod table;
mod witness;

use clap::{Parser, Subcommand};
use error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures the host for the guest's benchmark, and makes the table.
///
/// Exit status: 0 if it is done, also if a goal is missed; 1 if it could not be measured or made, 2 if
/// the command line is wrong.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures one thing, and prints the figure
    Measure {
        /// memcpy-BYTES (B/s), socketpair, eventfd or word (ns), server-wakeups (in a second),
        /// server-instructions (in a second)
        what: measure::What,
        /// Process of the device server
        #[arg(long, value_name = "PID")]
        server_pid: u32,
    },
    /// Echoes messages on standard input; the other end of `measure socketpair`
    #[command(hide = true)]
    Echo,
    /// Makes bench.json, bench.md and prints the table
    Report {
        /// What the guest said
        #[arg(long, value_name = "FILE")]
        results: PathBuf,
        /// Times of whole runs, if there are any: lines with row, numerator and denominator in seconds
        #[arg(long, value_name = "FILE")]
        times: Option<PathBuf>,
        /// Name and value of what the figures depend on; may be given more than once
        #[arg(long, value_name = "NAME=VALUE")]
        environment: Vec<String>,
        /// Folder for the results
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Makes bench-trace.json, bench-trace.md and prints the table: what QEMU's plugin costs
    Witness {
        /// results.json of runs, by turns with the plugin and without
        #[arg(required = true, value_name = "FILE")]
        runs: Vec<PathBuf>,
        /// Name and value of what the figures depend on; may be given more than once
        #[arg(long, value_name = "NAME=VALUE")]
        environment: Vec<String>,
        /// Folder for the results
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

fn main() -> ExitCode {
    match carry_out(&Options::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringbar-bench-host: {error}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(command: &Command) -> Result<(), Error> {
    match command {
        Command::Measure { what, server_pid } => {
            let figure = what.measure(*server_pid)?;
            println!("{figure}");
            Ok(())
        }
        Command::Echo => measure::echo(),
        Command::Report {
            results,
            times,
            environment,
            out,
        } => {
            print(&report::make(results, times.as_deref(), environment, out)?);
            Ok(())
        }
        Command::Witness {
            runs,
            environment,
            out,
        } => {
            print(&witness::make(runs, environment, out)?);
            Ok(())
        }
    }
}

fn print(table: &str) {
    // Who reads may have enough.
    let _ = io::stdout().write_all(table.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn command_line_definition_is_consistent() {
        Options::command().debug_assert();
    }
}
