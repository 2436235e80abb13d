// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Runs each target with some inputs from a fixed seed, and with all inputs that once failed: the
//! files of `regressions/TARGET/`.

use std::fs;
use std::path::Path;

use ringbar_fuzz::{session, TARGETS};

/// Total bytes of a target's inputs.
const BYTES: usize = 1_200_000;

#[test]
fn targets_hold_for_inputs_of_a_fixed_seed() {
    for target in TARGETS {
        let mut rng = fastrand::Rng::with_seed(7);
        let inputs = BYTES / target.longest;
        let done: u64 = (0..inputs)
            .map(|_| {
                let mut input = vec![0; rng.usize(1..target.longest)];
                rng.fill(&mut input);
                (target.run)(&input)
            })
            .sum();
        assert!(
            done > inputs as u64,
            "{}: {done} {} are too few to test anything",
            target.name,
            target.short.1
        );
    }
}

#[test]
fn targets_hold_for_inputs_that_once_failed() {
    for target in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("regressions")
            .join(target.name);
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            (target.run)(&fs::read(path).unwrap());
        }
    }
}

#[test]
fn session_survives_the_empty_input() {
    assert_eq!(session::run(&[]), 0);
}
