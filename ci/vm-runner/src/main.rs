// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Starts the device and QEMU, watches, reports.
//!
//! One thread looks every few milliseconds at its children (a server for each device, and QEMU) and
//! at files (the guest's console, its test results, what the servers say, what QEMU says). What it
//! sees becomes a verdict, a screen for people and reports for tools. The machine's make-up is
//! in [`machine`], how a run ends in [`run`], what that means in [`verdict`]. The guest can have
//! the device taken out and put back while it runs: [`hotplug`]. When a program or all of the guest
//! hangs is decided in [`watchdog`], by the time that the guest has had, with the limits in [`limits`].
//!
//! It does not build anything, does not know what the guest's programs test, and changes nothing
//! outside its temporary folder and the report folder.

mod beat;
mod boot;
mod command;
mod connections;
mod death_signal;
mod descendants;
mod error;
mod files;
mod guard;
mod guest_clock;
mod hang;
mod hotplug;
mod interrupt;
mod junit;
mod kernel;
mod ktap;
mod kvm_probe;
mod limits;
mod lines;
mod machine;
mod measure;
mod meter;
mod options;
mod port;
mod process;
mod qmp;
mod report;
mod request;
mod run;
mod screen;
mod server;
mod shell;
mod slot;
mod tail;
mod tsc;
mod verdict;
mod watchdog;
mod window;
mod workplace;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match options::Options::parse().command {
        options::Command::Run(options) => command::run(&options),
        options::Command::Shell(options) => command::shell(&options),
        options::Command::Boot(options) => command::boot(&options),
    }
}
