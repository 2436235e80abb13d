// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device goes again and again while everything of it is in use, in every way a device can go.
//!
//! `ringbar.cycles=N` on the kernel command line says how often; 0 skips the program.

mod child;
mod crew;
mod cycle;
mod preemption;
mod probe;
mod region;
mod usage;
mod way;

use child::Role;
use preemption::FullPreemption;
use region::Region;
use ringbar_tests::{run_all, Case, PciFunction, Runner, Skip, SHORT};
use std::cell::OnceCell;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};
use usage::Usage;
use way::Way;

/// Cycles, if nobody says how many.
const CYCLES: usize = 10;
/// Cycles before the first look at what is used: caches fill, numbers are given out.
const WARM_UP: usize = 6;
/// Memory in KiB that may be missing at the end, for what the kernel keeps for itself: free memory,
/// slabs, vmalloc. In 100 cycles that finds 10 KiB lost in each, or 5 KiB of small objects.
const TOLERANCES: [i64; 3] = [1024, 512, 64];
/// Where a debug kernel tells of memory that is lost.
const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";
/// How long the kernel may take to clear away what was closed.
const SETTLING: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((name, words)) = arguments.split_first() {
        let role = Role::ALL.into_iter().find(|role| role.name() == name);
        let regions: Option<Vec<Region>> =
            words.iter().map(|word| Region::from_word(word)).collect();
        child::play(role.expect("a role"), &regions.expect("regions"));
        return ExitCode::SUCCESS;
    }
    if cycles() == 0 {
        return run_all(vec![Case::skippable("cycles", || {
            Err(Skip("none was asked for; `make test` does".into()))
        })]);
    }
    let mut ways = vec![Way::Remove, Way::Unbind];
    let unplug = require_unplug();
    if unplug.is_ok() {
        ways.push(Way::Unplug);
    }
    let before = Rc::new(OnceCell::new());
    let mut cases: Vec<Case> = (0..WARM_UP + cycles())
        .zip(ways.iter().copied().cycle())
        .map(|(number, way)| {
            let before = before.clone();
            Case::new(format!("cycle_{number:03}_{}", way.name()), move || {
                if number == WARM_UP {
                    before.get_or_init(Usage::now);
                }
                cycle::run(way);
            })
        })
        .collect();
    cases.push(Case::skippable(
        "device_del_is_one_of_the_ways",
        move || unplug,
    ));
    let memory = before.clone();
    cases.push(Case::skippable("memory_is_back", move || {
        if Path::new(KMEMLEAK).exists() {
            return Err(Skip(
                "this kernel keeps what is freed; it has kmemleak".into(),
            ));
        }
        assert_back(&memory, |now, before| {
            let grown = now.grown(before);
            grown
                .iter()
                .zip(TOLERANCES)
                .all(|(grown, most)| *grown <= most)
        });
        Ok(())
    }));
    cases.push(Case::new("open_files_are_back", move || {
        assert_back(&before, |now, before| now.files <= before.files);
    }));
    let _preemption = FullPreemption::switch_on();
    run_all(cases)
}

/// How often the device is to go.
fn cycles() -> usize {
    let line = std::fs::read_to_string("/proc/cmdline").expect("procfs is mounted");
    let word = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("ringbar.cycles="));
    word.map_or(CYCLES, |word| word.parse().expect("ringbar.cycles=NUMBER"))
}

/// Whether the device can be taken out of the machine.
fn require_unplug() -> Result<(), Skip> {
    if !PciFunction::under_test().can_be_unplugged() {
        return Err(Skip("QEMU 11.1 aborts on it with MSI-X".into()));
    }
    match Runner::find() {
        Some(_) => Ok(()),
        None => Err(Skip("nobody outside takes requests".into())),
    }
}

/// Waits until as much is back as there must be.
fn assert_back(before: &OnceCell<Usage>, is_back: fn(&Usage, &Usage) -> bool) {
    let before = before.get().expect("the cycles were run");
    let deadline = Instant::now() + SETTLING;
    let mut now = Usage::now();
    while !is_back(&now, before) && Instant::now() < deadline {
        thread::sleep(SHORT);
        now = Usage::now();
    }
    println!("# before: {before}");
    println!("# after:  {now}");
    let more = now.more_objects(before);
    assert!(
        is_back(&now, before),
        "something stays behind; more: {more:?}"
    );
}
