// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Reports on a case that runs for long: one line after a minute, then each time that the case has
//! run twice as long. Without them a slow case looks like a runner that hangs.

use std::time::Duration;

/// Time of a case before the first report.
const FIRST: Duration = Duration::from_secs(60);

/// Reports on the running case so far. Times count from any fixed moment.
#[derive(Debug)]
pub(crate) struct Silence {
    /// Begin of the case.
    began: Duration,
    /// Time of the case at which the next report is due.
    next: Duration,
}

impl Default for Silence {
    fn default() -> Self {
        Self {
            began: Duration::ZERO,
            next: FIRST,
        }
    }
}

impl Silence {
    /// Returns the time of the case that began at `began`, if a report is due.
    pub(crate) fn due(&mut self, began: Duration, now: Duration) -> Option<Duration> {
        if began != self.began {
            *self = Self {
                began,
                ..Self::default()
            };
        }
        let ran = now.saturating_sub(began);
        if ran < self.next {
            return None;
        }
        self.next = ran.saturating_mul(2);
        Some(ran)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the seconds at which reports came on a case that began at `began`.
    fn reports(silence: &mut Silence, began: u64, until: u64) -> Vec<u64> {
        let began = Duration::from_secs(began);
        let seconds = (0..until).map(Duration::from_secs);
        seconds
            .filter_map(|ran| silence.due(began, began.saturating_add(ran)))
            .map(|ran| ran.as_secs())
            .collect()
    }

    #[test]
    fn case_is_reported_after_a_minute_and_then_ever_more_rarely() {
        assert_eq!(
            reports(&mut Silence::default(), 5, 600),
            [60, 120, 240, 480]
        );
    }

    #[test]
    fn next_case_has_a_minute_of_its_own() {
        let mut silence = Silence::default();
        assert_eq!(reports(&mut silence, 5, 100), [60]);

        assert_eq!(reports(&mut silence, 105, 60), [0; 0]);
        assert_eq!(reports(&mut silence, 200, 61), [60]);
    }
}
