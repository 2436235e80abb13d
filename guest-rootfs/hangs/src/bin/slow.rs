// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A slow program, which the runner must not take for one that hangs: it computes for BOOTS times
//! the boot time of this guest (`ringbar.slow=BOOTS`), and prints a line after each second of it.
//!
//! The runner takes a program for hung that prints no line for 30 times the boot time.
//! `ci/sabotage.sh` divides this by 10 (`HASTE`): three boot times without a line are too long.

use ringbar_tests::{parameter, run_all, Case};
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

/// Number of boots if the kernel command line has none.
const BOOTS: u32 = 20;
/// A shorter boot counts as this long for the runner (`SHORTEST_BOOT` of
/// `ci/vm-runner/src/limits.rs`).
const SHORTEST: Duration = Duration::from_secs(3);
/// Unit of the times in `/proc/PID/stat`.
const TICK: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    let boots = parameter::number("ringbar.slow");
    let boots = boots.map_or(BOOTS, |boots| boots as u32);
    let seconds = (boot().max(SHORTEST) * boots).as_secs();
    let case = |second| Case::new(format!("computes_second_{second}"), compute);
    run_all((1..=seconds).map(case).collect())
}

/// Uses a second of processor time.
fn compute() {
    let end = used() + Duration::from_secs(1);
    while used() < end {
        for _ in 0..1_000_000 {
            std::hint::spin_loop();
        }
    }
}

/// Returns the processor time of this process so far.
fn used() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("procfs is mounted");
    // The name in parentheses is one word here. The two times are fields 14 and 15.
    let times = stat.split_whitespace().skip(13).take(2);
    let ticks: u64 = times
        .map(|word| word.parse::<u64>().expect("a number"))
        .sum();
    TICK * ticks as u32
}

/// Returns the guest's uptime: a little more than its boot took, as no program ran before this one.
fn boot() -> Duration {
    let uptime = fs::read_to_string("/proc/uptime").expect("procfs is mounted");
    let seconds = uptime.split_whitespace().next().expect("a number");
    Duration::from_secs_f64(seconds.parse().expect("a number"))
}
