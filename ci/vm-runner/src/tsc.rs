// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! How fast this host's time stamp counter runs.
//!
//! Under TCG the guest's counter is the host's, and the guest's kernel would find out its speed by timers that
//! QEMU emulates: on a busy host it now and then reads 16 to 42 times too few ticks and its clock is too fast
//! by as much. Here nothing is emulated.
#![expect(
    unsafe_code,
    reason = "reading the time stamp counter is unsafe in `core::arch`"
)]

use std::thread::sleep;
use std::time::{Duration, Instant};

/// From the first reading to the last: the clocks are read to some 100 ns, so a few millionths.
const STRETCH: Duration = Duration::from_millis(40);
/// Readings at both ends, of which the tightest counts: others were interrupted.
const READINGS: usize = 100;
/// What a counter of a processor can be, in kHz.
const PLAUSIBLE: std::ops::RangeInclusive<u128> = 100_000..=20_000_000;

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    counter: u64,
    time: Instant,
    /// Ticks that reading both took.
    width: u64,
}

/// The counter's speed in kHz; none if it makes no sense, as of a counter that stops.
pub(crate) fn khz() -> Option<u32> {
    let first = reading()?;
    sleep(STRETCH);
    let last = reading()?;
    let nanoseconds = last.time.duration_since(first.time).as_nanos();
    speed(last.counter.checked_sub(first.counter)?, nanoseconds)
}

fn speed(ticks: u64, nanoseconds: u128) -> Option<u32> {
    let khz = u128::from(ticks)
        .checked_mul(1_000_000)?
        .checked_div(nanoseconds)?;
    PLAUSIBLE.contains(&khz).then(|| u32::try_from(khz).ok())?
}

fn reading() -> Option<Reading> {
    let once = || {
        let before = counter();
        let time = Instant::now();
        let width = counter().wrapping_sub(before);
        // In the middle of both.
        let counter = before.wrapping_add(width / 2);
        Reading {
            counter,
            time,
            width,
        }
    };
    (0..READINGS)
        .map(|_| once())
        .min_by_key(|reading| reading.width)
}

fn counter() -> u64 {
    // SAFETY: Every x86-64 processor has the instruction, which reads a register and does nothing else.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_ticks_a_millisecond() {
        assert_eq!(speed(84_000_000, 40_000_000), Some(2_100_000));
    }

    #[test]
    fn counter_that_stands_or_races_has_no_speed() {
        assert_eq!(speed(0, 40_000_000), None);
        assert_eq!(speed(u64::MAX, 40_000_000), None);
        assert_eq!(speed(84_000_000, 0), None);
    }

    #[test]
    fn two_measurements_of_this_host_agree() {
        let (one, two) = (khz().expect("a speed"), khz().expect("a speed"));

        assert!(one.abs_diff(two) < one / 1000, "{one} and {two}");
    }
}
