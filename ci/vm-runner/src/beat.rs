// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Messages on the guest's fourth serial port, between init and the runner. Only formats and parses
//! them.
//!
//! Init sends `beat CLOCK IDLE [PROGRAM]` about once per second of the guest's time, with the two numbers
//! of `/proc/uptime`. The runner sends `kill PROGRAM REASON`. Init then ends the program and all
//! processes that the program started.

use std::time::Duration;

/// A beat: the message by which init shows that the guest runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beat {
    /// The guest's clock: time since the start of its kernel.
    pub(crate) clock: Duration,
    /// Idle time of the guest's processors, added up over all of them.
    pub(crate) idle: Duration,
    /// Name of the running program. `None` between programs.
    pub(crate) program: Option<String>,
}

impl Beat {
    /// Parses a line. Returns `None` for any other line, as a broken guest may send anything.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        if words.next()? != "beat" {
            return None;
        }
        Some(Self {
            clock: seconds(words.next()?)?,
            idle: seconds(words.next()?)?,
            program: words.next().map(str::to_owned),
        })
    }
}

/// Returns the order to kill a program. Init adds the reason to the results.
pub(crate) fn kill_order(program: &str, reason: &str) -> String {
    format!("kill {program} {reason}")
}

/// Parses a time in seconds.
fn seconds(word: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(word.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn beat_has_clock_idle_time_and_program() {
        let beat = Beat {
            clock: Duration::from_millis(12_340),
            idle: Duration::from_millis(20_500),
            program: Some("dma".into()),
        };

        assert_eq!(Beat::parse("beat 12.34 20.50 dma"), Some(beat));
    }

    #[test]
    fn beat_between_programs_names_none() {
        let beat = Beat::parse("beat 1.00 0.50").expect("a beat");

        assert_eq!(beat.program, None);
    }

    #[test]
    fn other_line_is_not_a_beat() {
        for line in [
            "",
            "beat",
            "beat 1",
            "beat x 1",
            "beat -1 2",
            "beat nan 2",
            "beat 1e99 2",
            "beats 1 2",
        ] {
            assert_eq!(Beat::parse(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn parser_does_not_panic_on_any_text(text in any::<String>()) {
            Beat::parse(&text);
        }
    }
}
