// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A tool for the guest's prompt: shows the device, its registers and counters, and runs its
//! operations.
//!
//! Each command returns an answer, which can be shown as text or as JSON. [`output`] prints it. All
//! commands use the client library, so other programs can do the same.

mod bench;
mod error;
mod info;
mod number;
mod operations;
mod options;
mod output;
mod place;
mod regions;
mod registers;
mod sysfs;
mod watch;

use clap::Parser as _;
use error::Error;
use options::{Command, Options};
use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => return output::misunderstood(&error, env::args_os()),
    };
    let done = carry_out(&options);
    output::end(&options, done)
}

/// Runs the command and prints its answer.
fn carry_out(options: &Options) -> Result<(), Error> {
    let (node, json) = (&options.device, options.json);
    match &options.command {
        Command::Info => output::print(json, &info::look(node)?),
        Command::Regions => output::print(json, &regions::look(node)?),
        Command::Peek(peek) => output::print(json, &registers::peek(node, peek)?),
        Command::Poke(poke) => output::print(json, &registers::poke(node, poke)?),
        Command::Copy(copy) => {
            let answer = operations::copy(node, copy)?;
            output::print_beside(copy.output.as_deref(), json, &answer)
        }
        Command::Fill(fill) => {
            let answer = operations::fill(node, fill)?;
            output::print_beside(fill.output.as_deref(), json, &answer)
        }
        Command::Crc(crc) => output::print(json, &operations::crc(node, crc)?),
        Command::Bench(bench) => bench::run(node, bench, json),
        Command::Watch(watch) => watch::run(node, watch, json),
    }
}
