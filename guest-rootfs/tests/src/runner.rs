// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The runner outside of the machine. It takes a device out of the machine, puts it back, ends or
//! stops its server, wakes the machine, injects errors of a link, and measures the host.
//!
//! A request is a line on the third serial port. The runner replies with a line when the work is
//! done: `ok`, `ok` and a figure, or `error: REASON`. `ci/README.md` lists the requests.

use crate::Skip;
use ringbar_ports::Port;
use rustix::termios::{
    tcflush, tcgetattr, tcsetattr, OptionalActions, QueueSelector, SpecialCodeIndex,
};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

const PORT: Port = Port::Requests;
/// Line that wakes, and says nothing.
const KNOCK: &[u8] = b"knock";
/// Longer than the runner's own time limits.
const LIMIT: Duration = Duration::from_secs(180);
/// Tenths of a second after which a read returns without a byte.
const READ_TENTHS: u8 = 5;

/// The serial line to the runner.
#[derive(Debug)]
pub struct Runner {
    port: File,
}

impl Runner {
    /// Opens the line, or returns `None`: a machine that a person started has none.
    pub fn find() -> Option<Self> {
        let mut options = OpenOptions::new();
        let port = options.read(true).write(true).open(PORT.node()?).ok()?;
        // Fails if there is a node without a port.
        let mut modes = tcgetattr(&port).ok()?;
        modes.make_raw();
        modes.special_codes[SpecialCodeIndex::VMIN] = 0;
        modes.special_codes[SpecialCodeIndex::VTIME] = READ_TENTHS;
        tcsetattr(&port, OptionalActions::Now, &modes).ok()?;
        // Drops the reply to an earlier program, which did not wait for it. Otherwise it would be
        // taken for the reply to our first request.
        tcflush(&port, QueueSelector::IFlush).ok()?;
        Some(Self { port })
    }

    /// Opens the line, if the machine bears that a device is taken out so many times more.
    ///
    /// # Errors
    ///
    /// [`Skip`] if it does not, or has no runner.
    pub fn for_unplugs(count: usize) -> Result<Self, Skip> {
        let none = || Skip("the machine has no runner that takes requests".into());
        let mut runner = Self::find().ok_or_else(none)?;
        match runner.unplugs().map_err(|reason| Skip(reason.into()))? {
            more if more >= count => Ok(runner),
            few => Err(Skip(
                format!("the machine bears {few} more unplugs, and not {count}").into(),
            )),
        }
    }

    /// Returns how often a device can be taken out of the machine. With MSI-X each time leaves
    /// something behind in QEMU.
    pub fn unplugs(&mut self) -> Result<usize, String> {
        let answer = self.ask("unplugs")?;
        match answer.as_str() {
            "any" => Ok(usize::MAX),
            number => number
                .parse()
                .map_err(|_| format!("the runner answered {answer:?} to unplugs")),
        }
    }

    /// Calls `sleep`, while the runner sends lines on the port, and each of them wakes the machine.
    pub fn knocking<T>(&mut self, sleep: impl FnOnce() -> T) -> T {
        fs::write(wakes(), "enabled").expect("the port can wake the machine");
        self.send("knock").expect("the runner is there");
        let slept = sleep();
        self.must("awake");
        // A port that can wake is not set up again after a sleep in which it loses its registers.
        fs::write(wakes(), "disabled").expect("the port can leave that to others");
        slept
    }

    fn send(&mut self, request: &str) -> Result<(), String> {
        let sent = self.port.write_all(format!("{request}\n").as_bytes());
        sent.map_err(|error| format!("cannot write to {PORT}: {error}"))
    }

    /// Sends a request and waits until it is done. Returns the part of the reply behind `ok`.
    pub fn ask(&mut self, request: &str) -> Result<String, String> {
        self.send(request)?;
        let answer = self.answer()?;
        match answer.split_once(' ') {
            None if answer == "ok" => Ok(String::new()),
            Some(("ok", figure)) => Ok(figure.to_owned()),
            Some(("error:", reason)) => Err(reason.to_owned()),
            _ => Err(format!("the runner answered {answer:?}")),
        }
    }

    /// Sends a request. Panics if the runner cannot do it.
    #[track_caller]
    pub fn must(&mut self, request: &str) {
        let done = self.ask(request);
        done.unwrap_or_else(|reason| panic!("{request}: {reason}"));
    }

    fn answer(&mut self) -> Result<String, String> {
        let deadline = Instant::now() + LIMIT;
        let mut line = Vec::new();
        while Instant::now() < deadline {
            let mut byte = [0];
            match self.port.read(&mut byte) {
                Ok(0) => {}
                Ok(_) if byte == *b"\n" && line == KNOCK => line.clear(),
                Ok(_) if byte == *b"\n" => return Ok(String::from_utf8_lossy(&line).into_owned()),
                Ok(_) => line.extend(byte),
                Err(error) => return Err(format!("cannot read from {PORT}: {error}")),
            }
        }
        Err(format!("no answer on {PORT} within {} s", LIMIT.as_secs()))
    }
}

/// Returns the file that says whether a line on the port wakes the machine.
fn wakes() -> String {
    let name = PORT.name().expect("the machine has the port");
    format!("/sys/class/tty/{name}/power/wakeup")
}
