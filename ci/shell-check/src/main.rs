// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Drives the guest's shell through a pseudo-terminal, as a person would. `ci/shell-check.sh` runs
//! it.
//!
//! [`terminal`] types and reads. [`steps`] holds the input and the expected output.

mod error;
mod steps;
mod terminal;

use std::process::{Command, ExitCode};

use error::Error;
use terminal::Terminal;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else {
        eprintln!("usage: ringbar-shell-check COMMAND [ARG...]: COMMAND opens the guest's shell");
        return ExitCode::from(2);
    };
    let mut command = Command::new(program);
    command.args(words).env("TERM", "vt100");
    match check(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringbar: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the steps in order. Fails at the first one that fails.
fn check(command: Command) -> Result<(), Error> {
    let mut terminal = Terminal::open(command)?;
    for (name, step) in steps::STEPS {
        step(&mut terminal).map_err(|source| Error::Step {
            name,
            source: Box::new(source),
        })?;
        println!("ok {name}");
    }
    println!("{} passed, 0 failed, 0 skipped", steps::STEPS.len());
    Ok(())
}
