// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device server as a child.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::options::MachineOptions;
use crate::process::Process;
use crate::tail::Tail;
use crate::workplace::Workplace;

/// What the server prints when QEMU may come.
const READY: &str = "listening on ";
/// How long it may take until then.
const LIMIT: Duration = Duration::from_secs(10);

/// Starts the server and waits until it listens.
pub(crate) fn start(
    options: &MachineOptions,
    place: &Workplace,
    log: &mut Tail,
    interrupt: &Interrupt,
) -> Result<Process, Error> {
    let mut command = Command::new(&options.server);
    command
        .arg("--socket")
        .arg(place.socket())
        // It is to end with QEMU.
        .arg("--once")
        .args(["--interrupts", options.interrupts.word()])
        .args(&options.server_arg);
    let mut process =
        Process::start(&mut command, &place.append("server.log")?).map_err(|source| {
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
