// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Is slow, and nothing else: it computes for as long as some boots of this guest took, `ringbar.slow=BOOTS` or 20, and says
//! each second that it lives.

use ringbar_tests::{parameter, run_all, Case};
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

/// Boots, unless the kernel's command line says otherwise.
const BOOTS: u32 = 20;
/// What the runner takes for a boot if it was shorter.
const SHORTEST: Duration = Duration::from_secs(3);
/// The unit of times in `/proc/PID/stat`.
const TICK: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    let boots = parameter::number("ringbar.slow");
    let boots = boots.map_or(BOOTS, |boots| boots as u32);
    let seconds = (boot().max(SHORTEST) * boots).as_secs();
    let case = |second| Case::new(format!("computes_second_{second}"), compute);
    run_all((1..=seconds).map(case).collect())
}

/// Uses up a second of processor time.
fn compute() {
    let end = used() + Duration::from_secs(1);
    while used() < end {
        for _ in 0..1_000_000 {
            std::hint::spin_loop();
        }
    }
}

/// Processor time of this process so far.
fn used() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("procfs is mounted");
    // The name in parentheses is a word; the two times come after it as fields 14 and 15.
    let times = stat.split_whitespace().skip(13).take(2);
    let ticks: u64 = times
        .map(|word| word.parse::<u64>().expect("a number"))
        .sum();
    TICK * ticks as u32
}

/// The guest's time when its first program began: what the boot took, or more.
fn boot() -> Duration {
    let uptime = fs::read_to_string("/proc/uptime").expect("procfs is mounted");
    let seconds = uptime.split_whitespace().next().expect("a number");
    Duration::from_secs_f64(seconds.parse().expect("a number"))
}
