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
use ringbar_tests::{arguments, parameter, run_all, Case, Runner, Skip};
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
    let unplugs = unplugs();
    let left = unplugs.as_ref().copied().unwrap_or_default();
    let before = Rc::new(OnceCell::new());
    let mut cases: Vec<Case> = ways(left)
        .take(WARM_UP + cycles())
        .enumerate()
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
    cases.push(Case::new("device_del_is_one_of_the_ways", move || {
        let left = unplugs?;
        assert_takes_one_each(left, Way::unplugged());
        Ok(())
    }));
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

/// Returns the ways of the cycles by turns, without end. The device is taken out of the machine as
/// often as that bears it.
fn ways(mut unplugs: usize) -> impl Iterator<Item = Way> {
    let all = [Way::Remove, Way::Unbind, Way::Unplug];
    all.into_iter().cycle().filter(move |way| {
        let more = unplugs.checked_sub(1);
        if *way == Way::Unplug {
            unplugs = more.unwrap_or_default();
        }
        *way != Way::Unplug || more.is_some()
    })
}

/// Returns how often the device can be taken out of the machine, or why it cannot.
fn unplugs() -> Result<usize, Skip> {
    let mut runner = Runner::for_unplugs(1)?;
    runner.unplugs().map_err(|reason| Skip(reason.into()))
}

/// Fails unless each unplug has taken one of those that the machine bore before.
fn assert_takes_one_each(left: usize, unplugged: usize) {
    let mut runner = Runner::find().expect("a runner has taken the device out");
    let now = runner.unplugs().expect("the runner knows");
    println!("# taken out {unplugged} times, {now} more are possible");
    if left != usize::MAX {
        assert_eq!(left - now, unplugged, "unplugs that are no longer possible");
    }
}
