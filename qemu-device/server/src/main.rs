// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Command line of the server.

use std::process::ExitCode;

use clap::Parser;
use ringbar_server::server::Honest;
use ringbar_server::{program, Options};

fn main() -> ExitCode {
    let options = Options::parse();
    program::start_log(&options);
    #[cfg(feature = "sabotage")]
    if let Err(error) = sabotage() {
        log::error!("{error}");
        return ExitCode::FAILURE;
    }
    program::run(Honest, &options)
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
