// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Command line of the server.

use std::process::{self, ExitCode};

use clap::Parser;
use ringbar_server::{trace, Error, Options, Server};

fn main() -> ExitCode {
    let options = Options::parse();
    start_log(&options);
    end_on_panic();
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &Options) -> Result<(), Error> {
    let server = Server::bind(options)?;
    server.exit_on_signals()?;
    eprintln!("listening on {}", server.path().display());
    server.run()?;
    log::info!("client gone, ending");
    Ok(())
}

fn start_log(options: &Options) {
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(&options.log);
    if options.trace {
        builder.filter_module(trace::TARGET, log::LevelFilter::Trace);
    }
    builder.init();
}

/// A broken server must not linger: as long as its socket is open, each access of the guest would
/// wait for an answer that never comes.
fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        process::exit(101);
    }));
}
