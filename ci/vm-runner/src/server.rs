// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The server of a device, as a child process.

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

/// Returns the name of the log of a device's servers.
pub(crate) fn log_name(device: u32) -> String {
    match device {
        0 => "server.log".to_owned(),
        _ => format!("server{device}.log"),
    }
}

/// Starts the server of a device and waits until it listens. Fails if it ends or stays silent.
pub(crate) fn start(
    options: &MachineOptions,
    place: &Workplace,
    device: u32,
    log: &mut Tail,
    interrupt: &Interrupt,
) -> Result<Process, Error> {
    let mut command = Command::new(&options.server);
    command
        .arg("--socket")
        .arg(place.socket(device))
        // It must end with QEMU.
        .arg("--once")
        .args(["--interrupts", options.interrupts.word()])
        .args(&options.server_arg);
    // The plugin watches the first device only, so the report needs that server's events only.
    if options.plugin.is_some() && device == 0 {
        command.arg("--events").arg(place.file("events.jsonl"));
    }
    if device == 0 {
        place.note("server-command.txt", &command)?;
    }
    let mut process =
        Process::start(&mut command, &place.append(&log_name(device))?).map_err(|source| {
            Error::Start {
                what: "the device server",
                program: options.server.clone(),
                source,
                hint: "build it, or give its path with --server",
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
                end: end.to_string(),
            });
        }
        if Instant::now() >= deadline {
            return Err(Error::ServerSilent { limit: LIMIT });
        }
        sleep(Duration::from_millis(5));
    }
}
