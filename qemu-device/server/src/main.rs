// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Command line of the server.

use std::process::{self, ExitCode};

use clap::Parser;
use ringbar_server::sandbox::{self, Format, Parts};
use ringbar_server::{inherited, trace, Error, Options, Server};

fn main() -> ExitCode {
    let options = Options::parse();
    start_log(&options);
    #[cfg(feature = "sabotage")]
    if let Err(error) = sabotage() {
        log::error!("{error}");
        return ExitCode::FAILURE;
    }
    end_on_panic(options.sandbox);
    // Before anything is opened: a descriptor of this process's own would be closed with the
    // others.
    if let Err(error) = inherited::close_descriptors() {
        log::warn!("inherited descriptors stay open: /proc/self/fd: {error}");
    }
    let result = match options.print_sandbox {
        Some(format) => print_sandbox(&options, format),
        None => serve(&options),
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
fn serve(options: &Options) -> Result<(), Error> {
    let mut server = Server::bind(options)?;
    // The sandbox comes before the first client: nothing of a client is read outside of it.
    server.own_process()?.log();
    eprintln!("listening on {}", server.path().display());
    server.run()?;
    log::info!("client gone, ending");
    Ok(())
}

/// Switches on the fault that `RINGBAR_SABOTAGE` names. Fails if it names none: a server that is
/// merely right would prove nothing.
#[cfg(feature = "sabotage")]
fn sabotage() -> Result<(), String> {
    use ringbar_model::sabotage::Sabotage;
    let name = std::env::var("RINGBAR_SABOTAGE").unwrap_or_default();
    let Some(chosen) = Sabotage::choose(&name) else {
        let names: Vec<_> = Sabotage::ALL.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        return Err(format!(
            "RINGBAR_SABOTAGE={name}: this server has built-in faults: set it to one of {names}"
        ));
    };
    log::warn!("built-in fault: {chosen:?}");
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
fn start_log(options: &Options) {
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
