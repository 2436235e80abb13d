// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The examples in C and Python use the driver, without Rust.
//!
//! `ci/languages.sh` has the files, which are in the guest only if `TESTS` names this program.

use ringbar_tests::{case, run, Skip};
use std::path::Path;
use std::process::{Command, ExitCode, Output};

/// The bytes that each example copies, as it prints them from its own mapping.
const COPIED: &str = "copied: from here to there\n";

fn main() -> ExitCode {
    run()
}

#[case]
fn c_program_copies_through_its_mapped_ring() -> Result<(), Skip> {
    copies(&["/examples/copy"])
}

#[case]
fn python_program_copies_through_a_kernel_queue() -> Result<(), Skip> {
    copies(&["/usr/bin/python3", "/examples/copy.py"])
}

/// Runs an example, which prints the bytes that the device has copied.
#[track_caller]
fn copies(command: &[&str]) -> Result<(), Skip> {
    let missing = command.iter().find(|file| !Path::new(file).exists());
    if let Some(file) = missing {
        let reason = format!("this guest has no {file}: TESTS=languages brings it");
        return Err(Skip(reason.into()));
    }
    let (program, arguments) = command.split_first().expect("a program");
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program)
        .args(arguments)
        .output()
        .expect("the program starts");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(
        status.success() && stdout == COPIED && stderr.is_empty(),
        "{command:?}: {status}\n{stdout}{stderr}"
    );
    Ok(())
}
