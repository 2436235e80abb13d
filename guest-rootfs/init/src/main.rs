// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! First process of the guest: loads the driver, runs the test programs, powers off.
//!
//! The kernel console is the first serial port. Results go to the second one as KTAP. The fourth
//! one is a line to the runner: it receives init's beats, and sends orders to kill a program. A
//! shell uses the ports differently: see [`shell`].
//!
//! The kernel command line names the task: `ringbar.tests=all`, `ringbar.tests=NAME,NAME`,
//! `ringbar.shell`, `ringbar.debug` or `ringbar.boot`. `ringbar.args=WORD,WORD` gives the programs arguments.

mod command_line;
mod control;
mod driver;
mod fair_server;
mod follow;
mod kernel_log;
mod marks;
mod others;
mod programs;
mod results;
mod shell;
mod subtest;
mod system;

use command_line::Task;
use control::Control;
use kernel_log::KernelLog;
use results::Results;
use std::path::Path;

fn main() {
    if let Err(error) = work() {
        // To the console as well: the results port may be the thing that failed.
        eprintln!("ringbar-init: {error}");
    }
    let error = system::power_off();
    eprintln!("ringbar-init: cannot power off: {error}");
}

/// Sets the system up and carries out the task of the command line.
fn work() -> Result<(), String> {
    system::mount_all()?;
    fair_server::turn_off(Path::new(fair_server::FOLDER))?;
    match Task::from_kernel()? {
        Task::Tests(selection, arguments) => {
            let mut results = Results::open()?;
            // First: the first beat tells the runner that the boot is over.
            let control = Control::start();
            let log = KernelLog::open().inspect_err(|error| results.bail_out(error))?;
            let ran = run_tests(&mut results, &control, &log, &selection, &arguments);
            let ran = ran.inspect_err(|error| results.bail_out(error));
            log.finish();
            ran
        }
        Task::Boot => {
            let mut results = Results::open()?;
            driver::insert().inspect_err(|error| results.bail_out(error))?;
            // Results, not the console, where messages of the kernel may break the line. A guest
            // that failed also powers off, so the runner looks for this line.
            results.line("# driver: loaded");
            Ok(())
        }
        Task::Shell => shell::run(false),
        Task::Debug => shell::run(true),
    }
}

/// Loads the driver and runs the chosen programs one after the other.
fn run_tests(
    results: &mut Results,
    control: &Control,
    log: &KernelLog,
    selection: &programs::Selection,
    arguments: &[String],
) -> Result<(), String> {
    results.line("KTAP version 1");
    results.line(&format!("# kernel: {}", system::kernel_release()));
    let loaded = driver::load();
    for (name, value) in loaded.as_ref().into_iter().flatten() {
        results.line(&format!("# {name}: {value}"));
    }
    loaded?;
    let chosen = programs::choose(selection)?;
    results.line(&format!("1..{}", chosen.len()));
    for (number, program) in (1..).zip(&chosen) {
        log.enter(program);
        let ran = programs::run(results, control, number, program, arguments);
        log.leave();
        ran?;
    }
    Ok(())
}
