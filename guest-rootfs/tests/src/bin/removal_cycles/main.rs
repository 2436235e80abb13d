// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device goes again and again while all its objects are in use, in every way a device can go.
//!
//! `ringbar.cycles=N` on the kernel command line sets the number of cycles. 0 skips the program.

mod child;
mod crew;
mod cycle;
mod preemption;
mod probe;
mod region;
mod way;

use child::Role;
use preemption::FullPreemption;
use region::Region;
use ringbar_tests::usage::{self, Usage};
use ringbar_tests::{arguments, parameter, run_all, Case, PciFunction, Runner, Skip};
use std::cell::OnceCell;
use std::process::ExitCode;
use std::rc::Rc;
use way::Way;

/// Default number of cycles.
const CYCLES: usize = 10;
/// Cycles before the first count of memory and files. They fill caches and number tables.
const WARM_UP: usize = 6;

fn main() -> ExitCode {
    let role = arguments::role().unwrap_or_default();
    if let Some((name, words)) = role.split_first() {
        let role = Role::ALL.into_iter().find(|role| role.name() == name);
        let regions: Option<Vec<Region>> =
            words.iter().map(|word| Region::from_word(word)).collect();
        child::play(
            role.expect("the parent names a role"),
            &regions.expect("regions"),
        );
        return ExitCode::SUCCESS;
    }
    if cycles() == 0 {
        return run_all(vec![Case::new("cycles", || {
            Err(Skip(
                "ringbar.cycles=0 asks for no cycle; `make test` runs all of them".into(),
            ))
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
    cases.push(Case::new("device_del_is_one_of_the_ways", move || unplug));
    cases.push(Case::new("memory_and_open_files_are_back", move || {
        usage::assert_back(before.get().expect("the cycles were run"));
    }));
    let _preemption = FullPreemption::switch_on();
    run_all(cases)
}

/// Returns the number of cycles.
fn cycles() -> usize {
    parameter::number("ringbar.cycles").map_or(CYCLES, |cycles| cycles as usize)
}

/// Returns why the device cannot be taken out of the machine, if that is so.
fn require_unplug() -> Result<(), Skip> {
    if !PciFunction::under_test().can_be_unplugged() {
        return Err(Skip("QEMU 11.1 aborts on device_del with MSI-X".into()));
    }
    match Runner::find() {
        Some(_) => Ok(()),
        None => Err(Skip("the machine has no runner that takes requests".into())),
    }
}
