// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Command line of the broker.

use std::error::Error;
use std::process::ExitCode;

use ringbar_broker::options::Options;
use ringbar_broker::serve::{self, Surroundings};
use ringbar_broker::{sandbox, socket};

fn main() -> ExitCode {
    let options = Options::of_process();
    env_logger::Builder::new()
        .parse_filters(&options.log)
        .init();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves clients until the broker ends.
fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let listener = socket::listen(&options.socket)?;
    let files = match &options.region_files {
        Some(path) => Some(socket::listen(path)?),
        None => None,
    };
    if options.no_sandbox {
        log::warn!("sandbox is off");
    } else {
        sandbox::enter(&options.server)?;
    }
    // A program that starts this broker waits for this line.
    eprintln!("listening on {}", options.socket.display());
    let surroundings = Surroundings {
        server: &options.server,
        files: files.as_ref(),
        times: options.times(),
    };
    serve::run(&listener, surroundings, options.once)?;
    Ok(())
}
