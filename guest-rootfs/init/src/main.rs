// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! First process of the guest: loads the driver, runs the test programs, powers off.
//!
//! The kernel console is the first serial port. Results go to the second one as KTAP. The fourth
//! one is a line to the runner: it receives init's beats, and sends orders to kill a program. A
//! shell uses the ports differently: see [`shell`].
//!
//! The kernel command line names the task: `ringbar.tests=all`, `ringbar.tests=NAME,NAME`,
//! `ringbar.shell`, `ringbar.debug` or `ringbar.boot`. `ringbar.args=WORD,WORD` gives the programs
//! arguments. `ringbar.driver=NAME:NODE` names a driver that init loads in place of ringbar's.
//! `ringbar.kexec` and `ringbar.heir` are for a machine that changes its kernel first.

mod command_line;
mod control;
mod driver;
mod fair_server;
mod follow;
mod kernel_log;
mod kexec;
mod marks;
mod others;
mod programs;
mod results;
mod resumption;
mod serial;
mod shell;
mod subtest;
mod system;
mod threads;

use command_line::Task;
use control::Control;
use driver::Drivers;
use kernel_log::KernelLog;
use results::Results;
use resumption::Resumption;
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
    let (task, drivers, part) = command_line::from_kernel()?;
    if let Some(part) = part {
        part.play(&drivers).inspect_err(|error| give_up(error))?;
    }
    match task {
        Task::Tests(selection, arguments) => {
            let mut results = Results::open()?;
            // First: the first beat tells the runner that the boot is over.
            let control = Control::start();
            let log = KernelLog::open().inspect_err(|error| results.bail_out(error))?;
            let ran = Resumption::ask().and_then(|resumption| {
                let chosen = programs::choose(&selection)?;
                if let Some(name) = resumption.as_ref().and_then(|it| chosen.get(it.programs)) {
                    programs::play(name, programs::HEIR)?;
                }
                load(&drivers, &mut results, resumption.as_ref())?;
                run_tests(
                    &mut results,
                    &control,
                    &log,
                    &chosen,
                    &arguments,
                    resumption,
                )
            });
            let ran = ran.inspect_err(|error| results.bail_out(error));
            log.finish();
            ran
        }
        Task::Boot => {
            let mut results = Results::open()?;
            drivers
                .insert()
                .inspect_err(|error| results.bail_out(error))?;
            // Results, not the console, where messages of the kernel may break the line. A guest
            // that failed also powers off, so the runner looks for this line.
            results.line("# driver: loaded");
            Ok(())
        }
        Task::Shell => shell::run(&drivers, false),
        Task::Debug => shell::run(&drivers, true),
    }
}

/// Reports that the tests cannot begin.
fn give_up(reason: &str) {
    if let Ok(mut results) = Results::open() {
        results.bail_out(reason);
    }
}

/// Loads the drivers. Begins the results with their properties, unless these have begun before a
/// restart of the machine.
fn load(
    drivers: &Drivers,
    results: &mut Results,
    resumption: Option<&Resumption>,
) -> Result<(), String> {
    if resumption.is_some() {
        // Ends a line that the reset may have cut off.
        results.line("");
        return drivers.load().map(|_| ());
    }
    results.line("KTAP version 1");
    results.line(&format!("# kernel: {}", system::kernel_release()));
    for (name, value) in drivers.load()? {
        results.line(&format!("# {name}: {value}"));
    }
    Ok(())
}

/// Runs the chosen programs one after the other, after a restart of the machine the rest of them.
fn run_tests(
    results: &mut Results,
    control: &Control,
    log: &KernelLog,
    chosen: &[String],
    arguments: &[String],
    mut resumption: Option<Resumption>,
) -> Result<(), String> {
    if resumption.is_none() {
        // Readers learn the names even if the run ends before these programs begin.
        results.line(&format!("# programs: {}", chosen.join(", ")));
        results.line(&format!("1..{}", chosen.len()));
    }
    let ended = resumption.as_ref().map_or(0, |it| it.programs);
    for (number, program) in (1..).zip(chosen).skip(ended) {
        log.enter(program);
        let resumption = resumption.take();
        let ran = programs::run(results, control, number, program, arguments, resumption);
        log.leave();
        ran?;
    }
    Ok(())
}
