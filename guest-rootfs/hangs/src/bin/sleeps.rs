// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Sleeps forever, like a test that waits for an event that never comes.

use ringbar_tests::{case, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    run()
}

#[case]
fn begins() {}

#[case]
fn sleeps_for_ever() {
    loop {
        std::thread::park();
    }
}
