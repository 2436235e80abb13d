// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! How long QEMU waits for the server of a device.
//!
//! QEMU drops the connection of a server that answers too late. On a busy machine a sound server
//! may be late too, and its device would be lost for no fault of it. A broker answers in the place of
//! a late server, well within QEMU's usual time.

use std::fs;
use std::thread::available_parallelism;

/// Number of the first device that tests may lose.
const TO_BE_LOST: u32 = 2;
/// QEMU's own time, in milliseconds.
const USUAL: f64 = 5000.0;
/// The time for devices that tests lose, on a machine that is not crowded.
const SHORT: f64 = 1000.0;
/// Runnable threads per processor from which on a machine is crowded. A run with its builds beside it
/// stays below.
const CROWD: f64 = 2.0;

/// Returns how long QEMU waits for an answer of a device's server, in milliseconds. The whole
/// machine stands still meanwhile, and unbinding a driver makes several accesses. With the usual
/// time the kernel reports stalls while a server is stopped.
pub(crate) fn patience(number: u32, brokered: bool) -> u32 {
    match brokered {
        true => USUAL as u32,
        false => with_load(number, load().unwrap_or(1.0)),
    }
}

/// As [`patience`], with so many runnable threads per processor.
fn with_load(number: u32, load: f64) -> u32 {
    let time = match number {
        0..TO_BE_LOST => USUAL,
        TO_BE_LOST.. => (SHORT * load / CROWD).clamp(SHORT, USUAL),
    };
    time as u32
}

/// Returns the number of runnable threads per processor, in the mean of the last minute.
fn load() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let threads: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(threads / available_parallelism().ok()?.get() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_devices_have_the_usual_time_whatever_the_load() {
        assert_eq!([with_load(0, 0.1), with_load(1, 20.0)], [5000, 5000]);
    }

    #[test]
    fn devices_that_are_lost_have_a_short_time_on_an_idle_machine() {
        assert_eq!([with_load(2, 0.0), with_load(3, 2.0)], [1000, 1000]);
    }

    #[test]
    fn busy_machine_has_more_time_but_never_more_than_the_usual() {
        assert_eq!([with_load(2, 5.0), with_load(2, 40.0)], [2500, 5000]);
    }

    #[test]
    fn every_device_behind_a_broker_has_the_usual_time() {
        assert_eq!([patience(0, true), patience(3, true)], [5000, 5000]);
    }

    #[test]
    fn load_of_this_machine_can_be_read() {
        assert!(load().is_some_and(|load| load >= 0.0));
    }
}
