// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Drives the guest's shell through a pseudo-terminal, as a person would. `ci/shell-check.sh` runs
//! it.
//!
//! [`terminal`] types and reads. [`steps`] holds the input and the expected output, and
//! [`debugger`] that of a person with gdb.

mod debugger;
mod error;
mod steps;
mod terminal;

use std::process::{Command, ExitCode};

use error::Error;
use terminal::Terminal;

const USAGE: &str = "usage: ringbar-shell-check [--gdb PROGRAM [ARG...] --] COMMAND [ARG...]: \
    COMMAND opens the guest's shell, with --gdb one to which gdb can attach";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (gdb, words) = match words.split_first() {
        Some((first, rest)) if first == "--gdb" => {
            match rest.iter().position(|word| word == "--") {
                Some(end) => (Some(&rest[..end]), &rest[end + 1..]),
                None => (None, &[][..]),
            }
        }
        _ => (None, &words[..]),
    };
    let Some((program, words)) = words.split_first() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let mut command = Command::new(program);
    command.args(words).env("TERM", "vt100");
    let checked = match gdb {
        Some(gdb) => check_debugger(command, gdb),
        None => check(command),
    };
    match checked {
        Ok(count) => {
            println!("{count} passed, 0 failed, 0 skipped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ringbar: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the steps in order. Fails at the first one that fails. Returns their number.
fn check(command: Command) -> Result<usize, Error> {
    let mut terminal = Terminal::open(command)?;
    for (name, step) in steps::STEPS {
        passed(name, step(&mut terminal))?;
    }
    Ok(steps::STEPS.len())
}

/// Runs the steps of a person with gdb. Returns their number.
fn check_debugger(command: Command, gdb: &[String]) -> Result<usize, Error> {
    let mut terminal = Terminal::open(command)?;
    let attached = debugger::attach(&mut terminal, gdb);
    let gdb = passed("loaded_driver_stops_the_machine_for_gdb", attached)?;
    let stopped = debugger::stop_in_the_hook(&mut terminal, gdb);
    passed("gdb_stops_in_the_mmap_hook_with_file_and_line", stopped)?;
    let left = steps::exit(&mut terminal);
    passed("exit_after_gdb_powers_off_and_ends_well", left)?;
    Ok(3)
}

/// Prints a step that passed, and names one that failed.
fn passed<T>(name: &'static str, outcome: Result<T, Error>) -> Result<T, Error> {
    let value = outcome.map_err(|source| Error::Step {
        name,
        source: Box::new(source),
    })?;
    println!("ok {name}");
    Ok(value)
}
