// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A server as a program: its log, its descriptors, its end after a panic.

use std::process::{self, ExitCode};

use crate::error::Error;
use crate::options::Options;
use crate::sandbox::{self, Format, Parts};
use crate::server::{Devices, Server};
use crate::{inherited, trace};

/// Serves one of these devices to clients until the server ends. Returns the exit status of the
/// process.
///
/// The log must have been started ([`start_log`]).
pub fn run(devices: impl Devices, options: &Options) -> ExitCode {
    end_on_panic(options.sandbox);
    // Before anything is opened: a descriptor of this process's own would be closed with the
    // others.
    if let Err(error) = inherited::close_descriptors() {
        log::warn!("inherited descriptors stay open: /proc/self/fd: {error}");
    }
    let result = match options.print_sandbox {
        Some(format) => print_sandbox(options, format),
        None => serve(devices, options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves clients until the server ends.
fn serve(devices: impl Devices, options: &Options) -> Result<(), Error> {
    let mut server = Server::bind_with(devices, options)?;
    // The sandbox comes before the first client: nothing of a client is read outside of it.
    server.own_process()?.log();
    eprintln!("listening on {}", server.path().display());
    server.run()?;
    log::info!("client gone, ending");
    Ok(())
}

/// Prints the sandbox that this process has on this kernel, not the one that it should have.
fn print_sandbox(options: &Options, format: Format) -> Result<(), Error> {
    let report = sandbox::enter(options)?;
    match format {
        Format::Table => print!("{report}"),
        Format::Json => println!("{}", serde_json::json!(report)),
    }
    Ok(())
}

/// Starts the log with the filters of the command line.
pub fn start_log(options: &Options) {
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(&options.log);
    if options.trace {
        builder.filter_module(trace::TARGET, log::LevelFilter::Trace);
    }
    builder.init();
}

/// Ends the process if a thread panics. As long as the socket of a broken server is open, each
/// access of the guest waits for an answer that never comes.
fn end_on_panic(sandbox: Parts) {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if sandbox == Parts::NONE {
            report(panic);
        } else {
            // A backtrace opens files, and the sandbox would kill the process before the text is
            // out.
            eprintln!("{panic}");
        }
        process::exit(101);
    }));
}
