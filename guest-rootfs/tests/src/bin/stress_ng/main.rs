// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `stress-ng` uses the device's node in all ways that it knows, while processes copy and check. It ends
//! well, no copy is wrong, and the kernel has nothing to report, which the runner looks for.
//!
//! `ci/extra.sh` has the program, which is in the guest only if `TESTS` names this one.

mod calls;

use ringbar_tests::workers::{self, Workers};
use ringbar_tests::{
    arguments, assert_device_works, case, hammer, open, parameter, run, Skip, NODE,
};
use std::path::Path;
use std::process::{Command, ExitCode};

/// The program.
const PROGRAM: &str = "/usr/bin/stress-ng";
/// Number of its processes that use the node.
const STRESSORS: &str = "4";
/// Seconds for which it runs, in full and as a rule.
const SECONDS: (u64, u64) = (120, 10);

fn main() -> ExitCode {
    if arguments::role().is_some_and(|words| words == [workers::WORK]) {
        return workers::work(copy);
    }
    run()
}

/// Copies and checks until `another_round` returns false.
fn copy(another_round: &mut dyn FnMut() -> bool) {
    hammer(&open(), another_round).expect("every call works");
}

#[case]
fn node_bears_stress_ng_while_processes_copy() -> Result<(), Skip> {
    if !Path::new(PROGRAM).exists() {
        let reason = format!("this guest has no {PROGRAM}: TESTS=stress_ng brings it");
        return Err(Skip(reason.into()));
    }
    let workers = Workers::start();
    let seconds = parameter::count(SECONDS.0, SECONDS.1).to_string();

    let mut command = Command::new(PROGRAM);
    command.args(["--dev", STRESSORS, "--dev-file", NODE]);
    command.args(["--timeout", &seconds, "--temp-path", "/tmp"]);
    let output = command.output().expect("the program starts");

    let said = [output.stdout, output.stderr].concat();
    for line in String::from_utf8_lossy(&said).lines() {
        println!("# {line}");
    }
    workers.go_on();
    workers.finish();
    assert!(output.status.success(), "stress-ng: {}", output.status);
    assert_device_works(&open());
    Ok(())
}
