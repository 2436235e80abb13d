// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Runs the cases of a program and prints KTAP, version 1 (Linux `Documentation/dev-tools/ktap`).

use std::panic;
use std::process::ExitCode;

/// A case: name and function.
pub type Case = (&'static str, fn());

/// Runs all cases in order and says by the exit code whether all passed.
pub fn run(cases: &[Case]) -> ExitCode {
    panic::set_hook(Box::new(|info| {
        for line in info.to_string().lines() {
            println!("# {line}");
        }
    }));
    println!("KTAP version 1");
    println!("1..{}", cases.len());
    let mut failed = 0;
    for (number, (name, case)) in (1..).zip(cases) {
        let verdict = match panic::catch_unwind(case) {
            Ok(()) => "ok",
            Err(_) => {
                failed += 1;
                "not ok"
            }
        };
        println!("{verdict} {number} {name}");
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
