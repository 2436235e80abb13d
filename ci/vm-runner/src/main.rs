// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Starts the servers and QEMU, watches them, and reports.
//!
//! The main thread looks every few milliseconds at its children (QEMU and one server per device). It
//! also reads the console, the results and the logs. From these come a verdict, messages for
//! people, and reports for tools.
//!
//! [`machine`] composes QEMU's command line, [`run`] decides when a run ends, and [`verdict`]
//! judges it, with the complaints that [`judge`] gets from the witness. [`hotplug`] unplugs and
//! plugs devices at the guest's request. For a device that QEMU keeps without a server, [`stand_in`]
//! answers in a thread of its own. [`watchdog`] decides when a program or the guest hangs, by
//! the time that the guest has had. [`limits`] has the limits.
//!
//! The runner does not build anything and does not know the contents of tests. It changes files in
//! its temporary folder and the report folder only.

mod architecture;
mod beat;
mod boot;
mod command;
mod connections;
mod death_signal;
mod debug;
mod descendants;
mod device_tree;
mod driver;
mod error;
mod files;
mod guard;
mod guest_clock;
mod hang;
mod held;
mod hold;
mod hotplug;
mod interrupt;
mod judge;
mod junit;
mod kernel;
mod ktap;
mod kvm_probe;
mod limits;
mod lines;
mod machine;
mod measure;
mod memory;
mod meter;
mod options;
mod patience;
mod port;
mod process;
mod qmp;
mod report;
mod reports;
mod request;
mod restart;
mod run;
mod screen;
mod server;
mod service;
mod shell;
mod silence;
mod slot;
mod spare_memory;
mod stand_in;
mod tail;
mod tsc;
mod verdict;
mod watch;
mod watchdog;
mod whole_machine;
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
