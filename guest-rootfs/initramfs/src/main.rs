// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Builds the initramfs.

use std::process::ExitCode;

use clap::Parser;
use ringbar_initramfs::options::Options;
use ringbar_initramfs::{archive, Error};

/// Builds the archive and writes it to its file.
fn run(options: &Options) -> Result<(), Error> {
    let archive = archive::build(&options.tree()?)?;
    archive::save(&archive, &options.output)
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringbar-initramfs: {error}");
            ExitCode::FAILURE
        }
    }
}
