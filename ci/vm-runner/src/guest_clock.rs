// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Comparison of the guest's clock with the host's. Pure.
//!
//! A beat contains the guest's time and arrives a little later, on a busy host much later. So the
//! delay of a single beat is unknown. The promptest beats at both ends of a long stretch still show
//! the speed of the clock.

use std::fmt;
use std::time::Duration;

/// Shortest stretch that allows a judgement.
const STRETCH: Duration = Duration::from_secs(10);
/// Parts of a stretch. The promptest beat of the first part is compared with that of the last.
const PARTS: u32 = 3;
/// Beats that each of both parts needs, so that one of them was prompt.
const BEATS: usize = 3;
/// Largest tolerated difference of the clocks, as a fraction of the stretch.
const TOLERANCE: f64 = 0.1;
/// Difference that late beats can explain, even if their neighbours are late too.
const LATE: Duration = Duration::from_secs(3);

/// A beat: its arrival in the host's time, and the guest's time in it.
#[derive(Clone, Copy, Debug)]
struct Pair {
    host: Duration,
    guest: Duration,
}

impl Pair {
    /// Returns the lag of the guest's clock, including the delay of the beat.
    fn behind(&self) -> f64 {
        self.host.as_secs_f64() - self.guest.as_secs_f64()
    }
}

/// A wrong clock.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WrongClock {
    /// Seconds of the guest per second of the host.
    speed: f64,
    /// Length of the observation, in the host's time.
    stretch: Duration,
}

impl fmt::Display for WrongClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (speed, stretch) = (self.speed, self.stretch.as_secs_f64());
        write!(
            f,
            "the guest's clock goes {speed:.2} times as fast as the host's, over {stretch:.0} s; within a tenth would be \
             right. Times in the guest mean nothing: see how its kernel found the speed of its TSC (`tsc:` in console.log)"
        )
    }
}

/// Beats of a run.
#[derive(Debug, Default)]
pub(crate) struct GuestClock {
    /// Promptest beat of each second of the host.
    pairs: Vec<Pair>,
    /// Finding about a clock before the machine restarted.
    earlier: Option<WrongClock>,
}

impl GuestClock {
    /// Notes that the machine restarts: the guest's time begins again.
    pub(crate) fn restart(&mut self) {
        self.earlier = self.complaint();
        self.pairs.clear();
    }

    /// Notes a beat. Both times count from any fixed moment.
    pub(crate) fn beat(&mut self, host: Duration, guest: Duration) {
        let pair = Pair { host, guest };
        match self.pairs.last_mut() {
            Some(last) if last.host.as_secs() == host.as_secs() => {
                if pair.behind() < last.behind() {
                    *last = pair;
                }
            }
            _ => self.pairs.push(pair),
        }
    }

    /// Returns the finding if the clock was wrong, at the end of the run.
    pub(crate) fn complaint(&self) -> Option<WrongClock> {
        self.earlier.clone().or_else(|| self.judge())
    }

    /// Returns the finding about the clock since the last start of the machine.
    fn judge(&self) -> Option<WrongClock> {
        let (first, last) = (self.pairs.first()?.host, self.pairs.last()?.host);
        let part = last.saturating_sub(first).checked_div(PARTS)?;
        let (early, late) = (first.saturating_add(part), last.saturating_sub(part));
        let early = promptest(self.pairs.iter().filter(|pair| pair.host <= early))?;
        let late = promptest(self.pairs.iter().filter(|pair| pair.host >= late))?;
        let stretch = late.host.saturating_sub(early.host);
        let passed = late.guest.as_secs_f64() - early.guest.as_secs_f64();
        let difference = (passed - stretch.as_secs_f64()).abs();
        // All three: a short stretch or a late beat proves nothing, and a false alarm fails a good
        // run.
        let is_wrong = stretch >= STRETCH
            && difference > TOLERANCE * stretch.as_secs_f64()
            && difference > LATE.as_secs_f64();
        is_wrong.then(|| WrongClock {
            speed: passed / stretch.as_secs_f64(),
            stretch,
        })
    }
}

/// Returns the promptest beat, if there are enough to judge.
fn promptest<'a>(pairs: impl Iterator<Item = &'a Pair>) -> Option<Pair> {
    let pairs: Vec<_> = pairs.copied().collect();
    let enough = pairs.len() >= BEATS;
    pairs
        .into_iter()
        .filter(|_| enough)
        .min_by(|a, b| a.behind().total_cmp(&b.behind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// Simulates a guest that beats once per second of its own, for `length` seconds of the host.
    /// `late` returns the delay of each beat.
    fn watch(length: u32, speed: f64, late: impl Fn(f64) -> f64) -> Option<WrongClock> {
        let mut clock = GuestClock::default();
        let beats = (f64::from(length) * speed) as u32;
        for beat in 1..=beats {
            let guest = f64::from(beat);
            let host = guest / speed;
            clock.beat(seconds(100.0 + host + late(host)), seconds(guest));
        }
        clock.complaint()
    }

    #[test]
    fn correct_clock_is_accepted() {
        assert_eq!(watch(600, 1.0, |_| 0.0), None);
    }

    #[test]
    fn slightly_wrong_clock_is_accepted() {
        assert_eq!(watch(600, 1.05, |_| 0.0), None);
        assert_eq!(watch(600, 0.95, |_| 0.0), None);
    }

    #[test]
    fn much_too_fast_clock_is_reported_with_its_speed() {
        let wrong = watch(20, 16.0, |_| 0.0).expect("it is wrong");

        assert!((wrong.speed - 16.0).abs() < 0.1, "{wrong:?}");
        assert!(wrong
            .to_string()
            .starts_with("the guest's clock goes 16.00 times as fast as the host's"));
    }

    #[test]
    fn slow_or_fast_clock_is_reported() {
        assert!(watch(60, 0.5, |_| 0.0).is_some());
        assert!(watch(60, 1.2, |_| 0.0).is_some());
    }

    #[test]
    fn occasional_late_beats_are_accepted() {
        // After some time, two of three beats arrive six seconds late.
        let late = |host: f64| match host as u32 % 3 {
            1 | 2 if host > 30.0 => 6.0,
            _ => 0.0,
        };

        assert_eq!(watch(60, 1.0, late), None);
    }

    #[test]
    fn late_beats_at_one_end_are_accepted() {
        assert_eq!(
            watch(30, 1.0, |host| if host > 15.0 { 2.5 } else { 0.0 }),
            None
        );
        assert_eq!(
            watch(30, 1.0, |host| if host < 15.0 { 2.5 } else { 0.0 }),
            None
        );
    }

    /// Adds 40 beats, one per second of the host from `host` on. The guest's clock begins at `guest`.
    fn beats(clock: &mut GuestClock, host: f64, guest: f64, speed: f64) {
        for beat in 0..40 {
            let passed = f64::from(beat);
            clock.beat(seconds(host + passed), seconds(guest + speed * passed));
        }
    }

    #[test]
    fn clock_that_begins_again_after_a_restart_is_accepted() {
        let mut clock = GuestClock::default();
        beats(&mut clock, 0.0, 4.0, 1.0);
        clock.restart();
        // Later than before, although the machine booted meanwhile.
        beats(&mut clock, 60.0, 45.0, 1.0);

        assert_eq!(clock.complaint(), None);
    }

    #[test]
    fn wrong_clock_before_a_restart_is_reported() {
        let mut clock = GuestClock::default();
        beats(&mut clock, 0.0, 0.0, 2.0);
        clock.restart();
        beats(&mut clock, 60.0, 5.0, 1.0);

        let wrong = clock.complaint().expect("it was wrong");
        assert!((wrong.speed - 2.0).abs() < 0.1, "{wrong:?}");
    }

    #[test]
    fn too_short_run_is_not_judged() {
        assert_eq!(watch(8, 20.0, |_| 0.0), None);
        assert_eq!(GuestClock::default().complaint(), None);
    }
}
