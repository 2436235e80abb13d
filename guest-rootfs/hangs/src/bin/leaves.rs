// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Passes and ends, but leaves a child that holds its output open.

use ringbar_tests::{case, run};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    run()
}

#[case]
#[expect(
    clippy::zombie_processes,
    reason = "the case is about a child without a waiting parent"
)]
fn leaves_a_child() {
    let mut child = Command::new("/bin/busybox");
    // Longer than any run.
    let started = child.args(["sleep", "1000000"]).spawn();
    started.expect("a child");
}
