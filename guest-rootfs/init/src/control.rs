// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The line to the runner: init sends beats, the runner sends orders to kill a program that hangs.
//!
//! `ci/vm-runner/src/beat.rs` defines the lines. A machine started by hand has no such port, and
//! init then works without.

use crate::others;
use crate::serial;
use crate::threads::Thread;
use ringbar_ports::Port;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

const PORT: Port = Port::Control;
const CLOCK: &str = "/proc/uptime";
/// Time between two beats.
const BEAT: Duration = Duration::from_secs(1);

/// The running program, and how it was killed.
#[derive(Debug, Default)]
struct Running {
    program: Option<String>,
    killed: Option<Killed>,
}

/// The kill of a program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Killed {
    /// Reason in the order.
    pub(crate) reason: String,
    /// Threads of all processes just before.
    pub(crate) threads: Vec<Thread>,
}

/// State that init and the line's threads share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Control {
    running: Arc<Mutex<Running>>,
}

impl Control {
    /// Starts to beat and to listen, if the port exists.
    pub(crate) fn start() -> Self {
        let control = Self::default();
        if let Some((sender, receiver)) = ports() {
            let (beats, orders) = (control.clone(), control.clone());
            thread::spawn(move || beats.beat(sender));
            thread::spawn(move || orders.listen(receiver));
        }
        control
    }

    /// Notes that a program begins. From now on the runner may order to kill it.
    pub(crate) fn begin(&self, program: &str) {
        *self.lock() = Running {
            program: Some(program.to_owned()),
            killed: None,
        };
    }

    /// Returns whether the program was killed.
    pub(crate) fn is_killed(&self) -> bool {
        self.lock().killed.is_some()
    }

    /// Notes that the program has ended. Returns how it was killed, if it was.
    pub(crate) fn end(&self) -> Option<Killed> {
        std::mem::take(&mut *self.lock()).killed
    }

    /// Sends beats until the port fails.
    fn beat(&self, mut port: File) {
        loop {
            let clock = fs::read_to_string(CLOCK).unwrap_or_default();
            let program = self.lock().program.clone();
            let line = format!("beat {} {}", clock.trim(), program.unwrap_or_default());
            if port
                .write_all(format!("{}\n", line.trim_end()).as_bytes())
                .is_err()
            {
                // The runner notices missing beats by itself.
                return;
            }
            thread::sleep(BEAT);
        }
    }

    /// Carries out the runner's orders until the port fails.
    fn listen(&self, port: File) {
        for line in BufReader::new(port).lines().map_while(Result::ok) {
            if let Some((program, reason)) = order(&line) {
                self.kill(program, reason);
            }
        }
    }

    /// Kills all processes, if the program still runs. One program runs at a time, so all processes
    /// are its own.
    fn kill(&self, program: &str, reason: &str) {
        // Before the kill: afterwards they neither run nor wait. Without the lock: a file in
        // `/proc` may wait for a process that hangs in `exec`, and the beats must go on meanwhile.
        let threads = others::threads();
        // Held while killing: otherwise a program that begins meanwhile would be killed in place of
        // this one.
        let mut running = self.lock();
        if running.program.as_deref() == Some(program) {
            running.killed = Some(Killed {
                reason: reason.to_owned(),
                threads,
            });
            others::kill_all();
        }
    }

    /// Locks the state. A thread that panicked leaves it whole, since each change is one
    /// assignment.
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the port twice.
fn ports() -> Option<(File, File)> {
    let port = serial::open(PORT)?;
    Some((port.try_clone().ok()?, port))
}

/// Returns the program to kill and the reason.
fn order(line: &str) -> Option<(&str, &str)> {
    line.trim_end().strip_prefix("kill ")?.split_once(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_names_a_program_and_a_reason() {
        assert_eq!(
            order("kill dma it printed no line"),
            Some(("dma", "it printed no line"))
        );
    }

    #[test]
    fn other_line_is_not_an_order() {
        for line in ["", "kill", "kill dma", "killall dma x", "beat 1 2"] {
            assert_eq!(order(line), None, "{line}");
        }
    }

    #[test]
    fn killed_program_leaves_the_reason_and_the_threads_of_that_moment() {
        let control = Control::default();
        control.begin("dma");

        // Only the first process of a machine kills. A test is another one.
        control.kill("dma", "it printed no line");

        assert!(control.is_killed());
        let killed = control.end().expect("it was killed");
        assert_eq!(killed.reason, "it printed no line");
        assert_ne!(killed.threads, []);
    }

    #[test]
    fn program_that_does_not_run_is_not_killed() {
        let control = Control::default();
        control.begin("queue");

        control.kill("dma", "it printed no line");

        assert!(!control.is_killed());
        assert_eq!(control.end(), None);
    }
}
