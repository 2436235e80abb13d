// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The server of a device, as a child process.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::options::MachineOptions;
use crate::process::Process;
use crate::tail::Tail;
use crate::workplace::Workplace;

/// Part of the server's output once QEMU may connect.
const READY: &str = "listening on ";
/// Longest time until then. It takes a moment, if the server gets a processor.
const LIMIT: Duration = Duration::from_secs(60);

/// A server, by its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server<'a> {
    /// Ringbar's own.
    Ringbar(&'a Path),
    /// The server of another device.
    Own(&'a Path),
}

impl<'a> Server<'a> {
    /// Returns its program.
    fn program(self) -> &'a Path {
        match self {
            Self::Ringbar(program) | Self::Own(program) => program,
        }
    }

    /// Returns the command that starts it for a device. It must end with QEMU.
    fn command(self, options: &MachineOptions, place: &Workplace, device: u32) -> Command {
        let mut command = Command::new(self.program());
        command
            .arg("--socket")
            .arg(place.socket(device))
            .arg("--once");
        if let Self::Ringbar(_) = self {
            command.args(["--interrupts", options.interrupts.word()]);
        }
        command.args(&options.server_arg);
        // The plugin watches the first device only, so the report needs that server's events only.
        if options.plugin.is_some() && device == 0 {
            command.arg("--events").arg(place.file("events.jsonl"));
        }
        command
    }
}

/// Returns the name of the log of a device's servers.
pub(crate) fn log_name(device: u32) -> String {
    match device {
        0 => "server.log".to_owned(),
        _ => format!("server{device}.log"),
    }
}

/// Starts the server of a device and waits until it listens. Fails if it ends or stays silent.
pub(crate) fn start(
    server: Server<'_>,
    options: &MachineOptions,
    place: &Workplace,
    device: u32,
    log: &mut Tail,
    interrupt: &Interrupt,
) -> Result<Process, Error> {
    let mut command = server.command(options, place, device);
    let program = server.program();
    if device == 0 {
        place.note("server-command.txt", &command)?;
    }
    let mut process =
        Process::start(&mut command, &place.append(&log_name(device))?).map_err(|source| {
            Error::Start {
                what: "the device server",
                program: program.to_owned(),
                source,
                hint: match server {
                    Server::Ringbar(_) => "build it, or give its path with --server",
                    Server::Own(_) => "build it, or give its path with --own-server",
                },
            }
        })?;
    let deadline = Instant::now() + LIMIT;
    loop {
        interrupt.check()?;
        // Before the log is read. Otherwise a line between the read and the end would be missed.
        let ended = process.end();
        if log.read()?.iter().any(|line| line.contains(READY)) {
            return Ok(process);
        }
        if let Some(end) = ended {
            return Err(Error::ServerEnded {
                program: program.to_owned(),
                end: end.to_string(),
            });
        }
        if Instant::now() >= deadline {
            return Err(Error::ServerSilent {
                program: program.to_owned(),
                limit: LIMIT,
            });
        }
        sleep(Duration::from_millis(5));
    }
}
