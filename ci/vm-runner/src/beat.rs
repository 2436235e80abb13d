// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What is said on the control line, the guest's fourth serial port. Pure.
//!
//! Init says `beat CLOCK IDLE [PROGRAM]` about once a second of the guest, with the two numbers of `/proc/uptime`. The
//! runner says `kill PROGRAM REASON`: init ends the program and all it has started.

use std::time::Duration;

/// A beat of init.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beat {
    /// The guest's clock: time since its kernel began.
    pub(crate) clock: Duration,
    /// How long the guest's processors have been idle, all of them added up.
    pub(crate) idle: Duration,
    /// The program that runs.
    pub(crate) program: Option<String>,
}

impl Beat {
    /// Understands a line. Anything else than a beat is none: the guest may be broken.
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

/// The line that has init end a program. The reason goes to the results.
pub(crate) fn kill(program: &str, reason: &str) -> String {
    format!("kill {program} {reason}")
}

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
    fn line_that_is_no_beat_is_none() {
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
        fn any_text_is_taken(text in any::<String>()) {
            Beat::parse(&text);
        }
    }
}
