// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Port for results.

use ringbar_ports::Port;
use rustix::termios::tcdrain;
use std::fs::{File, OpenOptions};
use std::io::Write;

const PORT: Port = Port::Results;

/// Second serial port. Each line is sent as a whole.
pub(crate) struct Results {
    port: File,
}

impl Results {
    /// Opens the port.
    pub(crate) fn open() -> Result<Self, String> {
        let node = PORT.node().unwrap_or_default();
        let port = OpenOptions::new().write(true).open(node);
        port.map(|port| Self { port })
            .map_err(|error| format!("cannot open {PORT}: {error}"))
    }

    /// Sends to a port that the caller has opened.
    pub(crate) fn on(port: File) -> Self {
        Self { port }
    }

    /// Sends a line.
    pub(crate) fn line(&mut self, line: &str) {
        // The console is the only other place. Without the line the runner finds the plan broken.
        if let Err(error) = self.port.write_all(format!("{line}\n").as_bytes()) {
            eprintln!("ringbar-init: cannot write to {PORT}: {error}");
        }
    }

    /// Reports that the tests cannot go on.
    pub(crate) fn bail_out(&mut self, reason: &str) {
        self.line(&format!("Bail out! {reason}"));
    }
}

impl Drop for Results {
    /// Waits until the port has sent everything written to it, through any handle. Otherwise
    /// power-off discards lines that the kernel still holds.
    fn drop(&mut self) {
        if let Err(errno) = tcdrain(&self.port) {
            eprintln!("ringbar-init: cannot wait for {PORT}: {errno}");
        }
    }
}
