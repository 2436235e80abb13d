// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The commands of the runner, from options to exit status.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringbar_kernel_log::Complaint;

use crate::boot;
use crate::descendants::Descendants;
use crate::error::Error;
use crate::guard::Watched;
use crate::interrupt::Interrupt;
use crate::judge;
use crate::kernel::Kernel;
use crate::ktap::{Closing, Results, Test};
use crate::kvm_probe;
use crate::machine::{shell_line, Acceleration};
use crate::options::{BootOptions, MachineOptions, RunOptions, ShellOptions};
use crate::report::{self, Configuration, Run};
use crate::run;
use crate::screen::{printable, Screen};
use crate::shell::{self, ShellEnd};
use crate::verdict::{Ending, Observed, Verdict};
use crate::workplace::Workplace;

/// Parts that all commands need. Fields drop in this order: processes that children left behind end
/// first. Otherwise one of them could write to the folder while it is removed, and some of it stays.
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
    let began = SystemTime::now().duration_since(UNIX_EPOCH);
    let stage = match Stage::set(&options.machine) {
        Ok(stage) => stage,
        Err(error) => return give_up(&screen, &error),
    };
    let mut acceleration = None;
    // The time of the run is that of the machine. The judge begins after its end.
    let ran = observe(options, &stage, &mut acceleration, &mut screen)
        .and_then(|observed| judged(options, &stage, observed, screen.elapsed()));
    let (observed, duration) = match ran {
        Err(error @ Error::Interrupted { .. }) => {
            // An error is ignored: the interruption is the message that counts.
            let _ = stage.place.keep_logs(&stage.logs);
            screen.say(&format!("logs: {}", stage.logs.display()));
            return give_up(&screen, &error);
        }
        Err(error) => (not_made(&error), screen.elapsed()),
        Ok(both) => both,
    };
    let verdict = Verdict::of(&observed);
    let again = options.rerun_hint.clone();
    let again = again.unwrap_or_else(|| shell_line(std::env::args_os()));
    let run = Run {
        name: options.machine.name.clone(),
        host: host(),
        began: began.map_or(0, |time| time.as_secs()),
        seconds: duration.as_secs_f64(),
        booted: None,
        good: false,
        passed: 0,
        failed: 0,
        skipped: 0,
        configuration: configuration(options, acceleration),
        guest: Vec::new(),
        programs: Vec::new(),
        failures: Vec::new(),
        logs: stage.logs.clone(),
        again: again.clone(),
    }
    .with_findings(&verdict, &observed.results);
    let written = stage
        .place
        .keep_logs(&stage.logs)
        .and_then(|()| close_results(&stage, &observed.results, &verdict))
        .and_then(|()| report::write(&options.machine.report_dir, run));
    let programs = observed.results.programs.len();
    screen.finish(&verdict, programs, duration, &stage.logs, &again);
    if let Some(command) = traced_again(options, acceleration, &observed.results) {
        screen.say(&format!("record all accesses: {command}"));
    }
    match written {
        Err(error) => give_up(&screen, &error),
        Ok(()) if verdict.is_good() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
    }
}

/// Adds to the results of a failed run whatever a reader of them alone would miss.
fn close_results(stage: &Stage, results: &Results, verdict: &Verdict) -> Result<(), Error> {
    let path = stage.logs.join("results.ktap");
    let failures = verdict.outside_results();
    let closing = Closing::of(results, &failures);
    if closing.is_empty() {
        return Ok(());
    }
    closing.add_to(&path).map_err(|source| Error::File {
        action: "completed",
        path,
        source,
    })
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

/// Adds the complaints of the witness to a run that took `duration`. Returns both. A judge that
/// cannot judge fails the run, and the results stay.
fn judged(
    options: &RunOptions,
    stage: &Stage,
    mut observed: Observed,
    duration: Duration,
) -> Result<(Observed, Duration), Error> {
    let judged = judge::complaints(options, &stage.place, &stage.interrupt);
    observed.witness = match judged {
        Err(error @ Error::Interrupted { .. }) => return Err(error),
        Err(error) => vec![error.to_string()],
        Ok(complaints) => complaints,
    };
    Ok((observed, duration))
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

/// Returns the observation of a run that could not be made, for the reports.
fn not_made(error: &Error) -> Observed {
    Observed {
        ending: Ending::NotMade(error.to_string()),
        ending_details: Vec::new(),
        kernel: Kernel::default(),
        results: Results::default(),
        watched: Watched::default(),
        witness: Vec::new(),
    }
}

/// Returns the name of this host. Without one, the reports have an empty name.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// Returns the configuration of a run, for the reports.
fn configuration(options: &RunOptions, acceleration: Option<Acceleration>) -> Configuration {
    let machine = &options.machine;
    Configuration {
        accelerator: acceleration.map(|a| a.name().to_owned()),
        interrupts: machine.interrupts.word().to_owned(),
        devices: machine.servers().len(),
        iommu: machine.iommu,
        memory: machine.memory.to_string(),
        processors: machine.smp,
        tests: options.tests.clone(),
        append: machine.append.clone(),
    }
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
        Error::Interrupted { signal } => {
            let status = signal.checked_add(128).and_then(|s| u8::try_from(s).ok());
            status.map_or(ExitCode::FAILURE, ExitCode::from)
        }
        _ => ExitCode::FAILURE,
    }
}
