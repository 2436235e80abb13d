// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The judgement of the witness: a program that compares the records of a run with the claims of
//! its tests.
//!
//! The runner waits for it before it writes the reports. Otherwise they would be green where the
//! witness alone saw a fault.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::options::RunOptions;
use crate::process::{End, Process};
use crate::workplace::Workplace;

/// Time between two looks.
const STEP: Duration = Duration::from_millis(10);
/// File with the output of the judge.
const COMPLAINTS: &str = "witness.txt";

/// Runs the judge, if there is one, on the logs in `place`. Returns its complaints. A judge that
/// fails without a line is a complaint as well.
pub(crate) fn complaints(
    options: &RunOptions,
    place: &Workplace,
    interrupt: &Interrupt,
) -> Result<Vec<String>, Error> {
    let Some(program) = &options.judge else {
        return Ok(Vec::new());
    };
    let mut command = Command::new(program);
    command.args(&options.judge_arg);
    command.arg("--logs").arg(place.folder());
    let started = Process::start(&mut command, &place.append(COMPLAINTS)?);
    let process = started.map_err(|source| Error::Start {
        what: "the judge of the witness",
        program: program.clone(),
        source,
        hint: "give its path with --judge",
    })?;
    let end = wait(process, interrupt)?;
    if end.is_good() {
        return Ok(Vec::new());
    }
    let path = place.file(COMPLAINTS);
    let output = fs::read(&path).map_err(|source| Error::File {
        action: "read",
        path,
        source,
    })?;
    let text = String::from_utf8_lossy(&output);
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    Ok(match lines.is_empty() {
        true => vec![format!(
            "{} ended with {end} and printed no reason",
            program.display()
        )],
        false => lines,
    })
}

/// Waits for the end of the judge. A signal to the runner ends both.
fn wait(mut process: Process, interrupt: &Interrupt) -> Result<End, Error> {
    loop {
        if let Some(end) = process.end() {
            return Ok(end);
        }
        interrupt.check()?;
        sleep(STEP);
    }
}
