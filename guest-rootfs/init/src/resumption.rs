// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The place in the results at which init goes on, if a program had the machine restarted.
//!
//! Nothing in the guest outlives a reset of the machine. So the runner keeps the place, and init
//! asks for it on the third serial port (`ci/README.md`: `resume`).

use crate::serial;
use ringbar_ports::Port;
use rustix::termios::{tcflush, QueueSelector};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const PORT: Port = Port::Requests;
/// Longer than the runner needs on any busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// Variable by which a program learns that it goes on: results so far, then its note.
pub(crate) const VARIABLE: &str = "RINGBAR_RESUMED";

/// A place in the results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resumption {
    /// Programs that have ended.
    pub(crate) programs: usize,
    /// Results of the cases of the program that goes on.
    pub(crate) results: usize,
    /// Failures among them.
    pub(crate) failures: usize,
    /// Note of the program for itself.
    pub(crate) note: String,
}

impl Resumption {
    /// Asks the runner. Returns `None` at the first boot, and in a machine without a runner.
    pub(crate) fn ask() -> Result<Option<Self>, String> {
        let Some(mut port) = port() else {
            return Ok(None);
        };
        port.write_all(b"resume\n")
            .map_err(|error| format!("cannot write to {PORT}: {error}"))?;
        let (sender, answer) = mpsc::channel();
        // In a thread, because a read of the port has no time limit. It ends with the first line.
        thread::spawn(move || {
            let mut line = String::new();
            let _length = BufReader::new(port).read_line(&mut line);
            let _unheard = sender.send(line);
        });
        let limit = LIMIT.as_secs();
        let line = answer.recv_timeout(LIMIT).map_err(|_| {
            format!("the runner did not answer `resume` on {PORT} within {limit} s")
        })?;
        Self::parse(line.trim_end())
    }

    /// Parses the runner's answer.
    fn parse(line: &str) -> Result<Option<Self>, String> {
        let error = || format!("the runner answered {line:?} to `resume`");
        let mut words = line.split(' ');
        if words.next() != Some("ok") {
            return Err(error());
        }
        let Some(programs) = words.next() else {
            return Ok(None);
        };
        let number = |word: Option<&str>| word?.parse().ok();
        let mut resumption = || {
            Some(Self {
                programs: number(Some(programs))?,
                results: number(words.next())?,
                failures: number(words.next())?,
                note: words.next().unwrap_or_default().to_owned(),
            })
        };
        resumption().map(Some).ok_or_else(error)
    }

    /// Returns the value of [`VARIABLE`] for the program that goes on.
    pub(crate) fn value(&self) -> String {
        format!("{} {}", self.results, self.note)
    }
}

/// Opens the port, without answers to a program before the reset, which did not wait for them.
fn port() -> Option<File> {
    let port = serial::open(PORT)?;
    tcflush(&port, QueueSelector::IFlush).ok()?;
    Some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_boot_has_no_place() {
        assert_eq!(Resumption::parse("ok"), Ok(None));
    }

    #[test]
    fn place_and_note_are_understood() {
        let place = Resumption {
            programs: 12,
            results: 3,
            failures: 1,
            note: "seed:7".into(),
        };
        assert_eq!(place.value(), "3 seed:7");
        assert_eq!(Resumption::parse("ok 12 3 1 seed:7"), Ok(Some(place)));
    }

    #[test]
    fn place_needs_no_note() {
        let place = Resumption::parse("ok 1 2 0").expect("understood");

        assert_eq!(place.map(|place| place.note), Some(String::new()));
    }

    #[test]
    fn other_answers_are_errors_with_the_answer() {
        for line in ["", "error: busy", "ok 1", "ok 1 x 0"] {
            let error = Resumption::parse(line).expect_err("refused");
            assert!(error.contains(&format!("{line:?}")), "{error}");
        }
    }
}
