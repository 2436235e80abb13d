// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Host part of `make bench`: figures that the guest requests while it measures, and the final
//! table.

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

/// Measures the host for the guest's benchmark, and writes the table.
///
/// Exit status: 0 if all is done, even if a goal is missed; 1 if something could not be measured or
/// written; 2 if the command line is wrong.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures one thing and prints the figure
    Measure {
        /// memcpy-BYTES (B/s), socketpair, eventfd or word (ns), server-wakeups (per second),
        /// server-instructions (per second)
        what: measure::What,
        /// Process of the device server
        #[arg(long, value_name = "PID")]
        server_pid: u32,
    },
    /// Echoes messages on standard input; the other end of `measure socketpair`
    #[command(hide = true)]
    Echo,
    /// Writes bench.json and bench.md, and prints the table
    Report {
        /// File with the guest's results
        #[arg(long, value_name = "FILE")]
        results: PathBuf,
        /// Times of whole runs, if there are any: lines with row, numerator and denominator in
        /// seconds
        #[arg(long, value_name = "FILE")]
        times: Option<PathBuf>,
        /// Name and value of a condition of the measurement; may be given more than once
        #[arg(long, value_name = "NAME=VALUE")]
        environment: Vec<String>,
        /// Folder for the results
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Writes bench-trace.json and bench-trace.md, and prints the table: the cost of QEMU's plugin
    Witness {
        /// results.json of runs, alternately with the plugin and without it
        #[arg(required = true, value_name = "FILE")]
        runs: Vec<PathBuf>,
        /// Name and value of a condition of the measurement; may be given more than once
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

/// Carries out the command.
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

/// Prints the table.
fn print(table: &str) {
    // An error is ignored: the reader may have read enough. The files are already written.
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
