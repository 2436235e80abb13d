// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The line to the runner: beats go out, and orders to kill a program that hangs come in.
//!
//! `ci/vm-runner/src/beat.rs` says what is said. A machine that a person started has no such line, and nobody misses it.

use crate::others;
use rustix::fs::OFlags;
use rustix::termios::{tcgetattr, tcsetattr, OptionalActions};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

const PORT: &str = "/dev/ttyS3";
const CLOCK: &str = "/proc/uptime";
/// Time between two beats.
const BEAT: Duration = Duration::from_secs(1);

/// The program that runs, and why it was killed.
#[derive(Debug, Default)]
struct Running {
    program: Option<String>,
    killed: Option<String>,
}

/// What init and the line's threads share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Control {
    running: Arc<Mutex<Running>>,
}

impl Control {
    /// Begins to beat and to listen, if there is a line.
    pub(crate) fn start() -> Self {
        let control = Self::default();
        if let Some((sender, receiver)) = ports() {
            let (beats, orders) = (control.clone(), control.clone());
            thread::spawn(move || beats.beat(sender));
            thread::spawn(move || orders.listen(receiver));
        }
        control
    }

    /// A program begins. The runner may want it killed from now on.
    pub(crate) fn begin(&self, program: &str) {
        *self.lock() = Running {
            program: Some(program.to_owned()),
            killed: None,
        };
    }

    /// Whether the program was killed.
    pub(crate) fn is_killed(&self) -> bool {
        self.lock().killed.is_some()
    }

    /// The program has ended. Gives the reason if it was killed.
    pub(crate) fn end(&self) -> Option<String> {
        std::mem::take(&mut *self.lock()).killed
    }

    fn beat(&self, mut port: File) {
        loop {
            let clock = fs::read_to_string(CLOCK).unwrap_or_default();
            let program = self.lock().program.clone();
            let line = format!("beat {} {}", clock.trim(), program.unwrap_or_default());
            if port
                .write_all(format!("{}\n", line.trim_end()).as_bytes())
                .is_err()
            {
                // The runner sees that nobody beats.
                return;
            }
            thread::sleep(BEAT);
        }
    }

    fn listen(&self, port: File) {
        for line in BufReader::new(port).lines().map_while(Result::ok) {
            if let Some((program, reason)) = order(&line) {
                self.kill(program, reason);
            }
        }
    }

    /// Kills all processes, if the program is still the one that runs. Which of them are its, nobody needs to know: one
    /// program runs at a time.
    fn kill(&self, program: &str, reason: &str) {
        let mut running = self.lock();
        if running.program.as_deref() == Some(program) {
            running.killed = Some(reason.to_owned());
            others::kill_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The line twice, without echo and without a meaning in any byte.
fn ports() -> Option<(File, File)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.custom_flags(OFlags::NOCTTY.bits().cast_signed());
    let port = options.open(PORT).ok()?;
    // Fails if there is a node but no port.
    let mut modes = tcgetattr(&port).ok()?;
    modes.make_raw();
    tcsetattr(&port, OptionalActions::Now, &modes).ok()?;
    Some((port.try_clone().ok()?, port))
}

/// The program that is to be killed, and why.
fn order(line: &str) -> Option<(&str, &str)> {
    line.trim_end().strip_prefix("kill ")?.split_once(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_names_a_program_and_a_reason() {
        assert_eq!(
            order("kill dma no line of it"),
            Some(("dma", "no line of it"))
        );
    }

    #[test]
    fn line_that_is_no_order_is_none() {
        for line in ["", "kill", "kill dma", "killall dma x", "beat 1 2"] {
            assert_eq!(order(line), None, "{line}");
        }
    }

    #[test]
    fn program_that_does_not_run_is_not_killed() {
        let control = Control::default();
        control.begin("queue");

        control.kill("dma", "no line of it");

        assert!(!control.is_killed());
        assert_eq!(control.end(), None);
    }
}
