// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A shell in the guest, on the user's terminal.

use std::io::{self, IsTerminal as _};
use std::thread::sleep;
use std::time::Duration;

use rustix::termios::{tcgetattr, tcsetattr, OptionalActions, Termios};

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::machine::{Acceleration, Console};
use crate::options::MachineOptions;
use crate::process::{End, Process};
use crate::run;
use crate::screen::Screen;
use crate::server;
use crate::tail::Tail;
use crate::workplace::Workplace;

/// How long a process may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(1);

/// How a shell ended.
pub(crate) enum ShellEnd {
    /// QEMU ended.
    Qemu(End),
    /// A server ended first.
    Server(End),
}

/// Boots to a shell and stays until it ends.
pub(crate) fn run(
    options: &MachineOptions,
    acceleration: Acceleration,
    place: &Workplace,
    interrupt: &Interrupt,
    screen: &mut Screen,
) -> Result<ShellEnd, Error> {
    screen.booting(acceleration);
    screen.note("Ctrl-A x ends QEMU, Ctrl-A h tells more");
    let mut servers = Vec::new();
    for device in 0..options.devices {
        let mut log = Tail::create(&place.file(&server::log_name(device)))?;
        let server = server::start(options, place, device, &mut log, interrupt);
        servers.push(server.inspect_err(|_| screen.details(&log.last_lines()))?);
    }
    let _restore = Terminal::remember();
    let console = Console::Terminal(place.file("console.log"));
    let task = "ringbar.shell".to_owned();
    let machine = run::machine(options, acceleration, place, task, console, None);
    let mut command = run::qemu(options, &machine, place)?;
    let mut qemu = Process::start_on_terminal(&mut command)
        .map_err(|source| run::qemu_missing(options, source))?;
    loop {
        interrupt.check()?;
        if let Some(end) = qemu.end() {
            return Ok(ShellEnd::Qemu(end));
        }
        if let Some(end) = servers.iter_mut().find_map(Process::end) {
            // It ends when QEMU goes, which may be seen a moment later.
            sleep(Duration::from_millis(500));
            if let Some(end) = qemu.end() {
                return Ok(ShellEnd::Qemu(end));
            }
            qemu.stop(GRACE);
            return Ok(ShellEnd::Server(end));
        }
        sleep(Duration::from_millis(20));
    }
}

/// Gives the terminal back as it was: a killed QEMU cannot.
struct Terminal(Option<Termios>);

impl Terminal {
    fn remember() -> Self {
        let stdin = io::stdin();
        let modes = stdin.is_terminal().then(|| tcgetattr(&stdin).ok());
        Self(modes.flatten())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(modes) = &self.0 {
            // Nothing better can be done if it fails.
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, modes);
        }
    }
}
