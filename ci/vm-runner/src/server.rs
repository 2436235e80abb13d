// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The server of a device, as a child process, and the broker in front of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ringbar_lies::Lie;

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::machine::command_line;
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
    /// The broker between QEMU and a server.
    Broker(&'a Path),
}

impl<'a> Server<'a> {
    /// Returns its program.
    pub(crate) fn program(self) -> &'a Path {
        match self {
            Self::Ringbar(program) | Self::Own(program) | Self::Broker(program) => program,
        }
    }

    /// Returns whether it is ringbar's own server.
    pub(crate) fn is_ringbars(self) -> bool {
        matches!(self, Self::Ringbar(_))
    }

    /// Returns how it is started for a device. It must end with QEMU, or can be behind a broker.
    pub(crate) fn launch(
        self,
        options: &MachineOptions,
        place: &Workplace,
        device: u32,
    ) -> Launch<'a> {
        let mut command = Command::new(self.program());
        let is_ours = self.is_ringbars();
        let is_behind = is_ours && options.broker_of(device).is_some();
        let socket = match is_behind {
            true => place.server_socket(device),
            false => place.socket(device),
        };
        command.arg("--socket").arg(&socket);
        match is_behind {
            true => command
                .arg("--region-files")
                .arg(place.region_files(device)),
            false => command.arg("--once"),
        };
        if is_ours {
            command.args(["--interrupts", options.interrupts.word()]);
        }
        command.args(&options.server_arg);
        // The plugin watches the first device only, so the report needs that server's events only.
        // A server of another device need not know the option, and would end with an error.
        if options.records_accesses() && device == 0 && is_ours {
            command.arg("--events").arg(place.file("events.jsonl"));
        }
        Launch {
            program: self,
            command,
            socket,
        }
    }
}

/// A program and how it is started.
pub(crate) struct Launch<'a> {
    program: Server<'a>,
    command: Command,
    /// Socket on which it will listen.
    socket: PathBuf,
}

impl<'a> Launch<'a> {
    /// Has the server tell a lie from its start on, if there is one. A server that tells no lies ends
    /// with an error, which the guest gets.
    pub(crate) fn with(mut self, lie: Option<Lie>) -> Self {
        if let Some(lie) = lie {
            self.command.args(["--lie", lie.name()]);
        }
        self
    }

    /// Returns how a broker is started for a device. It ends with QEMU.
    pub(crate) fn of_broker(program: &'a Path, place: &Workplace, device: u32) -> Self {
        let socket = place.socket(device);
        let mut command = Command::new(program);
        command
            .arg("--socket")
            .arg(&socket)
            .arg("--server")
            .arg(place.server_socket(device))
            .arg("--region-files")
            .arg(place.region_files(device))
            .arg("--once");
        Self {
            program: Server::Broker(program),
            command,
            socket,
        }
    }
}

/// Returns the name of the log of a device's servers.
pub(crate) fn log_name(device: u32) -> String {
    match device {
        0 => "server.log".to_owned(),
        _ => format!("server{device}.log"),
    }
}

/// Returns whether a file has the name of such a log.
pub(crate) fn is_log_name(name: &str) -> bool {
    let number = name
        .strip_prefix("server")
        .and_then(|rest| rest.strip_suffix(".log"));
    number.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Starts the server of a device, or its broker, and waits until it listens. Fails if it ends or stays
/// silent.
pub(crate) fn start(
    launch: Launch<'_>,
    place: &Workplace,
    device: u32,
    log: &mut Tail,
    interrupt: &Interrupt,
) -> Result<Process, Error> {
    let Launch {
        program: server,
        mut command,
        socket,
    } = launch;
    // A server that was killed has left its socket, on which the next one could not listen. An
    // error means that there is none.
    let _none = fs::remove_file(socket);
    let program = server.program();
    if device == 0 && !matches!(server, Server::Broker(_)) {
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
                    Server::Broker(_) => "build it, or give its path with --broker",
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
                command: command_line(&command),
            });
        }
        if Instant::now() >= deadline {
            return Err(Error::ServerSilent {
                program: program.to_owned(),
                limit: LIMIT,
                command: command_line(&command),
            });
        }
        sleep(Duration::from_millis(5));
    }
}
