// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Passes a case, then spins forever, and so does its child.

use ringbar_tests::{case, run};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    run()
}

#[case]
fn begins() {}

#[case]
#[expect(
    clippy::zombie_processes,
    reason = "neither it nor its child ends by itself"
)]
fn spins_for_ever() {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "while :; do :; done"]);
    let _child = shell.spawn().expect("a shell");
    loop {
        std::hint::spin_loop();
    }
}
