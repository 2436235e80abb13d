// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Command line of the lying server.

use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use clap::Parser;
use ringbar_endpoint::region_files::RegionFiles;
use ringbar_endpoint::{Connection, Endpoint, Worker};
use ringbar_liar::config::Lying;
use ringbar_liar::liar::Liar;
use ringbar_liar::state::State;
use ringbar_lies::Lie;
use ringbar_server::events::Events;
use ringbar_server::server::Devices;
use ringbar_server::{program, Error, Options};

/// Serves a ringbar PCI device that lies to its driver.
///
/// Without --lie it tells the truth until a guest orders lies, by writes to its configuration space.
/// Exit status as that of ringbar-server.
#[derive(Clone, Debug, Parser)]
#[command(version, override_usage = "ringbar-liar --socket <PATH> [OPTIONS]")]
struct LiarOptions {
    #[command(flatten)]
    server: Options,

    /// Lies from the start on, with commas between
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = parse_lie)]
    lie: Vec<Lie>,

    /// What is random in lies follows from this number
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Devices that lie.
struct Liars {
    state: State,
}

impl Devices for Liars {
    type Function = Liar;

    fn make(
        &self,
        options: &Options,
        events: Events,
        files: &RegionFiles,
    ) -> Result<Endpoint<Liar>, Error> {
        Liar::endpoint(options, events, files, self.state.clone())
    }

    fn serve(&self, client: UnixStream, device: Endpoint<Liar>) -> Result<(), Error> {
        let worker = Worker::start(device)?;
        let mut lying = Lying::new(worker, self.state.clone());
        Ok(Connection::new(client).serve(&mut lying)?)
    }
}

fn main() -> ExitCode {
    let options = LiarOptions::parse();
    program::start_log(&options.server);
    let state = State::new(options.lie, options.seed);
    program::run(Liars { state }, &options.server)
}

/// Parses the name of a lie.
fn parse_lie(name: &str) -> Result<Lie, String> {
    Lie::named(name).ok_or_else(|| {
        let names: Vec<&str> = Lie::ALL.iter().map(|lie| lie.name()).collect();
        format!("there is no such lie: name some of {}", names.join(", "))
    })
}
