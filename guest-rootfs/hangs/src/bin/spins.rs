// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Spins for ever, after a case that passes, and so does a child of it.

use ringbar_tests::run;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    run(&[("begins", || ()), ("spins", spin)])
}

#[expect(
    clippy::zombie_processes,
    reason = "neither it nor its child ends by itself"
)]
fn spin() {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "while :; do :; done"]);
    let _child = shell.spawn().expect("a shell");
    loop {
        std::hint::spin_loop();
    }
}
