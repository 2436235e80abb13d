// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The commands of the runner, from options to exit status.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use ringbar_kernel_log::Complaint;

use crate::boot;
use crate::descendants::Descendants;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::judge;
use crate::ktap::{Results, Test};
use crate::kvm_probe;
use crate::machine::Acceleration;
use crate::options::{BootOptions, MachineOptions, RunOptions, ShellOptions};
use crate::reports::Reports;
use crate::run;
use crate::screen::{printable, Screen};
use crate::shell::{self, ShellEnd};
use crate::verdict::{self, Ending, Observed, Verdict};
use crate::workplace::Workplace;

/// Parts that all commands need. Fields drop in this order: processes that children left behind end
/// first. Otherwise one of them could write to the folder while it is removed, and some of it
/// stays.
struct Stage {
    _descendants: Descendants,
    place: Workplace,
    logs: PathBuf,
    interrupt: Interrupt,
}

impl Stage {
    /// Creates the folders, and starts to adopt orphans and to note signals.
    fn set(options: &MachineOptions) -> Result<Self, Error> {
        let logs = options.report_dir.join("logs").join(&options.name);
        fs::create_dir_all(&logs).map_err(|source| Error::File {
            action: "made",
            path: logs.clone(),
            source,
        })?;
        Ok(Self {
            _descendants: Descendants::adopt()?,
            place: Workplace::create()?,
            logs,
            interrupt: Interrupt::watch()?,
        })
    }
}

/// Runs the tests. Returns the exit status.
pub(crate) fn run(options: &RunOptions) -> ExitCode {
    let mut screen = Screen::new();
    let stage = match Stage::set(&options.machine) {
        Ok(stage) => stage,
        Err(error) => return give_up(&screen, &error),
    };
    let mut reports = Reports::of(options, stage.logs.clone());
    if let Err(error) = reports.begin(&stage.place) {
        return give_up(&screen, &error);
    }
    let mut acceleration = None;
    let mut observed = observe(options, &stage, &mut acceleration, &mut screen)
        .unwrap_or_else(|error| not_made(&error));
    // The time of the run is that of the machine. The judge begins after its end.
    let duration = screen.elapsed();
    judge(options, &stage, &mut observed);
    let verdict = Verdict::of(&observed);
    reports.took(duration);
    if let Some(acceleration) = acceleration {
        reports.accelerated(acceleration);
    }
    let written = stage
        .place
        .keep_logs(&stage.logs)
        .and_then(|()| reports.write(&observed, &verdict));
    let programs = observed.results.programs.len();
    screen.finish(&verdict, programs, duration, &stage.logs, reports.again());
    if let Some(command) = traced_again(options, acceleration, &observed.results) {
        screen.say(&format!("record all accesses: {command}"));
    }
    match (written, observed.ending) {
        (Err(error), _) => give_up(&screen, &error),
        (_, Ending::Interrupted { signal, .. }) => status(signal),
        (Ok(()), _) if verdict.is_good() => ExitCode::SUCCESS,
        (Ok(()), _) => ExitCode::FAILURE,
    }
}

/// Makes the run. Stores the acceleration as soon as it is known, for the report.
fn observe(
    options: &RunOptions,
    stage: &Stage,
    settled: &mut Option<Acceleration>,
    screen: &mut Screen,
) -> Result<Observed, Error> {
    run::check_inputs(&options.machine)?;
    let acceleration = kvm_probe::settle(&options.machine, &stage.interrupt, screen)?;
    *settled = Some(acceleration);
    run::run(
        options,
        acceleration,
        &stage.place,
        &stage.interrupt,
        screen,
    )
}

/// Adds the complaints of the witness to a run that came to its end. A judge that cannot judge
/// fails the run.
fn judge(options: &RunOptions, stage: &Stage, observed: &mut Observed) {
    if matches!(
        observed.ending,
        Ending::Interrupted { .. } | Ending::NotMade(_)
    ) {
        return;
    }
    match judge::complaints(options, &stage.place, &stage.interrupt) {
        Ok(complaints) => observed.witness = complaints,
        Err(Error::Interrupted { signal }) => {
            observed.ending = Ending::Interrupted {
                signal,
                stage: None,
            };
        }
        Err(error) => observed.witness = vec![error.to_string()],
    }
}

/// Returns the command that runs the failed programs again with the witness. Returns `None` if the
/// witness is already there, or cannot be: it needs QEMU's translated code.
fn traced_again(
    options: &RunOptions,
    acceleration: Option<Acceleration>,
    results: &Results,
) -> Option<String> {
    let could = acceleration == Some(Acceleration::Tcg) && options.machine.plugin.is_none();
    let hint = options.trace_hint.as_ref().filter(|_| could)?;
    let has_failed = |program: &&Test| {
        let mut failed = false;
        program.for_each_case(&mut |_, case| failed |= case.outcome.is_failure());
        failed
    };
    let programs = results.programs.iter().filter(has_failed);
    let names: Vec<&str> = programs.map(|program| program.name.as_str()).collect();
    // A name that the command line would refuse is not the name of a program. The guest sent it, so
    // it must not reach a shell.
    let plain = |name: &&str| crate::options::tests(name).is_ok();
    (!names.is_empty() && names.iter().all(plain))
        .then(|| format!("{hint} TESTS={}", names.join(",")))
}

/// Returns the observation of a run that did not begin, for the reports.
fn not_made(error: &Error) -> Observed {
    Observed::not_made(match error {
        Error::Interrupted { signal } => Ending::Interrupted {
            signal: *signal,
            stage: Some(verdict::Stage::NoKernel),
        },
        _ => Ending::NotMade(error.to_string()),
    })
}

/// Boots to a shell. Returns the exit status.
pub(crate) fn shell(options: &ShellOptions) -> ExitCode {
    let mut screen = Screen::new();
    let ended = Stage::set(&options.machine).and_then(|stage| {
        run::check_inputs(&options.machine)?;
        let acceleration = kvm_probe::settle(&options.machine, &stage.interrupt, &mut screen)?;
        let ended = shell::run(
            options,
            acceleration,
            &stage.place,
            &stage.interrupt,
            &mut screen,
        );
        stage.place.keep_logs(&stage.logs)?;
        ended.map(|ended| (ended, stage.logs.clone()))
    });
    let (reason, logs) = match ended {
        Ok((ShellEnd::Left, _)) => return ExitCode::SUCCESS,
        Ok((ShellEnd::NoShell, logs)) => {
            let reason = "the guest powered off before it had a shell";
            (reason.to_owned(), logs)
        }
        Ok((ShellEnd::Complaints(complaints), logs)) => (complained(&complaints), logs),
        Ok((ShellEnd::Qemu(end), logs)) => (format!("QEMU ended with {end}"), logs),
        Ok((ShellEnd::Server(end), logs)) => (format!("a device server ended with {end}"), logs),
        Err(error) => return give_up(&screen, &error),
    };
    screen.say(&format!("ringbar: FAILED: {reason}"));
    screen.say(&format!("logs:  {}", logs.display()));
    ExitCode::FAILURE
}

/// Returns the first complaint of the kernel, and the number of the others, in one line.
fn complained(complaints: &[Complaint]) -> String {
    let first = complaints.first().map_or_else(String::new, |complaint| {
        format!("{}: {}", complaint.what, printable(&complaint.line))
    });
    match complaints.len() {
        0 | 1 => first,
        count => format!("{first} (and {} more)", count.saturating_sub(1)),
    }
}

/// Times a boot and prints the seconds. Returns the exit status.
pub(crate) fn boot(options: &BootOptions) -> ExitCode {
    let mut screen = Screen::new();
    let timed = Stage::set(&options.machine).and_then(|stage| {
        run::check_inputs(&options.machine)?;
        let acceleration = kvm_probe::settle(&options.machine, &stage.interrupt, &mut screen)?;
        let timed = boot::run(
            options,
            acceleration,
            &stage.place,
            &stage.interrupt,
            &screen,
        );
        stage.place.keep_logs(&stage.logs)?;
        timed
    });
    match timed {
        Ok(time) => {
            println!("{:.3}", time.as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(error) => give_up(&screen, &error),
    }
}

/// Prints the error. Returns the exit status: 128 + n for signal n, otherwise 1.
fn give_up(screen: &Screen, error: &Error) -> ExitCode {
    screen.say(&format!("ringbar: FAILED: {error}"));
    match error {
        Error::Interrupted { signal } => status(*signal),
        _ => ExitCode::FAILURE,
    }
}

/// Returns the exit status after a signal: 128 and its number.
fn status(signal: i32) -> ExitCode {
    let status = signal.checked_add(128).and_then(|s| u8::try_from(s).ok());
    status.map_or(ExitCode::FAILURE, ExitCode::from)
}
