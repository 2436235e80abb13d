// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Speed of this host's time stamp counter.
//!
//! Under TCG the guest reads the host's counter. Its kernel would measure the speed against timers
//! that QEMU emulates. On a busy host it then sometimes counts 16 to 42 times too few ticks, and
//! its clock is too fast by the same factor. Here the measurement involves no emulation.
#![expect(
    unsafe_code,
    reason = "reading the time stamp counter is unsafe in `core::arch`"
)]

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Time between the two readings. The clocks are read to some 100 ns, so the error is a few
/// millionths.
const STRETCH: Duration = Duration::from_millis(40);
/// Attempts per reading. The tightest one counts, since others were interrupted.
const READINGS: usize = 100;
/// Plausible speeds of a counter, in kHz.
const PLAUSIBLE: std::ops::RangeInclusive<u128> = 100_000..=20_000_000;

/// Values of both clocks at one moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    counter: u64,
    time: Instant,
    /// Ticks between both reads of the counter.
    width: u64,
}

/// Returns the counter's speed in kHz. Returns `None` if it is implausible, as for a stopped
/// counter.
pub(crate) fn khz() -> Option<u32> {
    let first = reading()?;
    sleep(STRETCH);
    let last = reading()?;
    let nanoseconds = last.time.duration_since(first.time).as_nanos();
    speed(last.counter.checked_sub(first.counter)?, nanoseconds)
}

/// Returns the speed in kHz, if it is plausible.
fn speed(ticks: u64, nanoseconds: u128) -> Option<u32> {
    let khz = u128::from(ticks)
        .checked_mul(1_000_000)?
        .checked_div(nanoseconds)?;
    PLAUSIBLE.contains(&khz).then(|| u32::try_from(khz).ok())?
}

/// Reads both clocks several times and returns the tightest reading.
fn reading() -> Option<Reading> {
    let once = || {
        let before = counter();
        let time = Instant::now();
        let width = counter().wrapping_sub(before);
        // The clock was read about halfway between both reads of the counter.
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

/// Reads the counter.
fn counter() -> u64 {
    // SAFETY: Every x86-64 processor has the instruction. It reads a register and has no other
    // effect.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_ticks_per_millisecond() {
        assert_eq!(speed(84_000_000, 40_000_000), Some(2_100_000));
    }

    #[test]
    fn stopped_or_racing_counter_has_no_speed() {
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
