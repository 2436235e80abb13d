// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The attacker: a process that writes arbitrary words into its mapped ring and pages. It must
//! reach no byte outside of its own windows.
//!
//! `ringbar.full=1` on the kernel command line makes the full number of tries. `ringbar.seed=N`
//! repeats a failed run.

mod ground;
mod indices;
mod killed;
mod limits;
mod scribbler;
mod victim;

use ground::Ground;
use ringbar_spec::ring::Status;
use ringbar_test_vectors::Generator;
use ringbar_tests::{case, parameter, run, PATIENCE};
use scribbler::Scribbler;
use std::collections::BTreeMap;
use std::process::ExitCode;
use victim::Victim;

/// Random descriptors, in a full run and in a short one.
const DESCRIPTORS: [u64; 2] = [1_000_000, 20_000];
/// Entries of the attacker's ring.
const ENTRIES: u32 = 256;

fn main() -> ExitCode {
    run()
}

/// A second thread rewrites the descriptors while the device reads them. They name windows of all
/// kinds: own, read-only, closed, freed, other processes', and numbers without a window.
#[case]
fn random_descriptors_change_no_byte_outside_their_windows() {
    let seed = parameter::seed();
    let victim = Victim::start(seed);
    let mut ground = Ground::new(ENTRIES, &victim, seed);
    let [full, short] = DESCRIPTORS;
    let count = parameter::count(full, short);
    let mut generator = Generator::new(seed, ground.windows());
    let scribbler = Scribbler::start(&ground, Generator::new(!seed, ground.windows()));

    let mut ended = BTreeMap::new();
    let mut pushed = 0;
    while pushed < count || ground.queue.in_flight() > 0 {
        while pushed < count && ground.queue.in_flight() < ENTRIES {
            let descriptor = generator.descriptor();
            ground.queue.push(descriptor).expect("there is room");
            pushed += 1;
        }
        ground.queue.submit();
        ground.queue.wait(1, PATIENCE).expect("the queue runs on");
        while let Some(completion) = ground.queue.pop().expect("the queue runs on") {
            *ended.entry(completion.status).or_insert(0_u64) += 1;
        }
    }
    scribbler.stop();

    println!("# {count} descriptors, by status: {ended:?}");
    ground.assert_guards();
    victim.assert_untouched();
    // Otherwise the random descriptors would not test every check of the device.
    for (status, name) in Status::ALL {
        let needed = ![Status::DMA_FAULT, Status::ABORTED].contains(status);
        assert!(
            !needed || ended.contains_key(&status.0),
            "no descriptor ended with {name}"
        );
    }
}
