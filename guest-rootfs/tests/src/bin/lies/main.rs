// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A device that lies: what the driver returns to processes, and how the device comes back.
//!
//! The expected outcomes are those of the table in `guest-driver/README.md`. Times are printed, and
//! are no verdict: a busy machine makes each as long as it likes. The verdict is the count of the
//! driver's own looks at a device that does not answer ([`messages`]).

mod beside;
mod kept;
mod liar;
mod messages;
mod meters;
mod others;
mod random;
mod removed;
mod table;
mod tell;
mod uses;

use ringbar_lies::{Group, Lie};
use ringbar_tests::{parameter, run_all, Case};
use std::fs;
use std::process::ExitCode;

/// The kernel's leak detector.
const DETECTOR: &str = "/sys/kernel/debug/kmemleak";

fn main() -> ExitCode {
    let single = lies().map(|lie| Case::new(lie.name(), move || tell::tell(lie)));
    let all = single.chain(removed::cases()).chain(kept::cases());
    if detects_leaks() && !random::is_long() {
        // `leaks` looks for what these left.
        return run_all(all.collect());
    }
    let random = [
        Case::new("several_at_once", random::several),
        Case::new("anything", random::anything),
    ];
    run_all(all.chain(random).chain(beside::cases()).collect())
}

/// Returns the lies to tell one by one: all, or under the leak detector, which takes half of the
/// guest's time, one of each sort.
fn lies() -> impl Iterator<Item = Lie> {
    let is_short = detects_leaks() && !random::is_long();
    let mut last = None;
    Lie::ALL.iter().copied().filter(move |lie| {
        let is_first = last.replace(lie.group()) != Some(lie.group());
        lie.group() != Group::Everything && (is_first || !is_short)
    })
}

/// Returns whether the kernel's leak detector is on.
fn detects_leaks() -> bool {
    let is_off = parameter::word("kmemleak").is_some_and(|word| word == "off");
    fs::exists(DETECTOR).is_ok_and(|there| there) && !is_off
}
