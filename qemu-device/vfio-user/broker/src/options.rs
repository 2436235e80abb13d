// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::serve::Times;

/// Default time for an answer, in milliseconds.
const ANSWER_WITHIN: u64 = 1000;
/// QEMU's own limit in milliseconds, its default of `x-msg-timeout`.
const CLIENT_WAITS: u64 = 5000;
/// Default pause between two looks for a server, in milliseconds.
const LOOK_EVERY: u64 = 50;

/// Stands between QEMU's vfio-user-pci and a vfio-user server, so that QEMU outlives the server.
///
/// QEMU connects to --socket. The broker connects to the server at --server, and looks for one again
/// and again whenever there is none. A new server is told all that it must know: version, DMA
/// mappings, configuration writes, interrupts. Meanwhile the broker answers as a device does that is
/// not there: reads give all ones, writes have no effect.
///
/// Exit status: 0 when the client has gone, with --once, 1 after an error, 2 if the command line is
/// wrong.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Options {
    /// Socket to listen on; QEMU gets the same path. It stays there in the end, and the next broker
    /// replaces it
    #[arg(long, value_name = "PATH")]
    pub socket: PathBuf,

    /// Socket of the server. It need not be there yet. The server must serve one client after the
    /// other, or be started again for each
    #[arg(long, value_name = "PATH")]
    pub server: PathBuf,

    /// Time after which a server that owes an answer is left; less than --client-waits
    #[arg(long, value_name = "MILLISECONDS", default_value_t = ANSWER_WITHIN,
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub answer_within: u64,

    /// Time after which the client itself gives up: x-msg-timeout of QEMU's vfio-user-pci
    #[arg(long, value_name = "MILLISECONDS", default_value_t = CLIENT_WAITS,
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub client_waits: u64,

    /// Pause between two looks for a server, up to 1000
    #[arg(long, value_name = "MILLISECONDS", default_value_t = LOOK_EVERY,
          value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub look_every: u64,

    /// Socket on which a new server gets the files behind the regions that QEMU has mapped. Only with
    /// these files can it take over from a server that had any
    #[arg(long, value_name = "PATH")]
    pub region_files: Option<PathBuf>,

    /// End with the first client, instead of waiting for the next one
    #[arg(long)]
    pub once: bool,

    /// Stay outside of the sandbox: no limits, no landlock
    #[arg(long)]
    pub no_sandbox: bool,

    /// What to log: a level, or target=level with commas between
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub log: String,
}

impl Options {
    /// Returns the options of this process's command line. Ends the process if they are wrong.
    pub fn of_process() -> Self {
        let options = Self::parse();
        let (broker, client) = (options.answer_within, options.client_waits);
        if broker >= client {
            let text = format!(
                "--answer-within {broker} is not less than --client-waits {client}: the client \
                 would give up before the broker answers"
            );
            Self::command()
                .error(ErrorKind::ValueValidation, text)
                .exit();
        }
        options
    }

    /// Returns the times.
    pub fn times(&self) -> Times {
        Times {
            limit: Duration::from_millis(self.answer_within),
            pause: Duration::from_millis(self.look_every),
        }
    }
}
