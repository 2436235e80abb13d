// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Each target over some inputs from a fixed seed, and over all that ever failed: the files of
//! `regressions/TARGET/`.

use std::fs;
use std::path::Path;

use ringbar_fuzz::{session, TARGETS};

/// Inputs of a target.
const INPUTS: u64 = 3000;

#[test]
fn targets_hold_for_inputs_of_a_fixed_seed() {
    for (name, run) in TARGETS {
        let mut rng = fastrand::Rng::with_seed(7);
        let messages: u64 = (0..INPUTS)
            .map(|_| {
                let mut input = vec![0; rng.usize(1..400)];
                rng.fill(&mut input);
                run(&input)
            })
            .sum();
        assert!(
            messages > INPUTS,
            "{name}: {messages} messages are too few to say anything"
        );
    }
}

#[test]
fn targets_hold_for_inputs_that_once_failed() {
    for (name, run) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("regressions")
            .join(name);
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            run(&fs::read(path).unwrap());
        }
    }
}

#[test]
fn session_survives_the_empty_input() {
    assert_eq!(session::run(&[]), 0);
}
