// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Command line of the conformance kit.

mod options;

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use indicatif::{ProgressBar, ProgressStyle};
use ringbar_conformance::cases;
use ringbar_conformance::judge::{Judge, Selected};
use ringbar_conformance::report::Report;
use ringbar_conformance::target::{ServerCommand, Target};

use options::Options;

/// Status of a run without a verdict.
const NOT_JUDGED: u8 = 2;

fn main() -> ExitCode {
    let options = Options::parse();
    let selected = cases::select(&options.group, &options.case);
    if options.list {
        for selected in &selected {
            println!("{:8}{}", selected.case.basis.name(), selected.name());
        }
        println!("{} cases", selected.len());
        return ExitCode::SUCCESS;
    }
    match judge(&options, &selected) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("not judged: {error}");
            ExitCode::from(NOT_JUDGED)
        }
    }
}

/// Runs the cases and reports. Returns the number of failed ones.
fn judge(options: &Options, selected: &[Selected]) -> Result<usize, String> {
    if selected.is_empty() {
        return Err("no case has such a name; --list shows them".into());
    }
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let socket = options.socket.clone().unwrap_or_default();
    let target = Target::new(socket, options.timeout, server_command(options)?);
    let mut judge =
        Judge::new(target, seed, options.messages).map_err(|reason| reason.to_string())?;

    let progress = progress();
    let mut report = Report::new(seed);
    for selected in selected {
        progress.set_prefix(selected.name());
        progress.set_message("");
        let verdict = judge.run(*selected, &|done, of| {
            progress.set_message(format!("{done}/{of}"))
        });
        let line = report.add(&verdict);
        if !options.quiet || verdict.outcome.is_err() {
            progress.suspend(|| println!("{line}"));
        }
    }
    progress.finish_and_clear();
    print!("{}", report.summary());
    if let Some(path) = &options.json {
        write_json(&report, path)?;
    }
    Ok(report.failed)
}

fn server_command(options: &Options) -> Result<Option<ServerCommand>, String> {
    let log = match &options.server_log {
        None => None,
        Some(path) => Some(
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map_err(|error| format!("{}: {error}", path.display()))?,
        ),
    };
    let line = options.server_command.clone();
    Ok(line.map(|line| ServerCommand { line, log }))
}

/// Makes a progress line on standard error, which is empty if that is not a terminal.
fn progress() -> ProgressBar {
    let progress = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {msg}") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(200));
    progress
}

fn write_json(report: &Report, path: &Path) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = serde_json::to_string_pretty(report).map_err(|error| failed(&error))?;
    fs::write(path, text + "\n").map_err(|error| failed(&error))
}
