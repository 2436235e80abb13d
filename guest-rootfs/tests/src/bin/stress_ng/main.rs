// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `stress-ng` uses the device's node in all ways that it knows, while processes copy and check. It ends
//! well, no copy is wrong, and the kernel has nothing to report, which the runner looks for.
//!
//! `ci/extra.sh` has the program, which is in the guest only if `TESTS` names this one.

mod calls;

use ringbar_tests::{
    arguments, assert_device_works, case, hammer, open, parameter, run, Skip, NODE,
};
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;

/// The program.
const PROGRAM: &str = "/usr/bin/stress-ng";
/// Number of its processes that use the node.
const STRESSORS: &str = "4";
/// Seconds for which it runs, in full and as a rule.
const SECONDS: (u64, u64) = (120, 10);
/// Role of a process that copies.
const COPY: &str = "copy";
/// Number of these.
const COPIERS: usize = 4;

fn main() -> ExitCode {
    if arguments::role().is_some() {
        return copy();
    }
    run()
}

/// Plays the role of a process: copies and checks until its input ends.
fn copy() -> ExitCode {
    let enough = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&enough);
    thread::spawn(move || {
        // An error ends the work too.
        let _end = io::stdin().read(&mut [0]);
        stop.store(true, Ordering::Relaxed);
    });
    let ended = hammer(&open(), || !enough.load(Ordering::Relaxed));
    ended.expect("every call works");
    ExitCode::SUCCESS
}

fn start_copying() -> Child {
    let mut command = Command::new("/proc/self/exe");
    command.args([arguments::AS, COPY]).stdin(Stdio::piped());
    command.spawn().expect("the program can start itself")
}

#[case]
fn node_bears_stress_ng_while_processes_copy() -> Result<(), Skip> {
    if !Path::new(PROGRAM).exists() {
        let reason = format!("this guest has no {PROGRAM}: TESTS=stress_ng brings it");
        return Err(Skip(reason.into()));
    }
    let copiers: Vec<_> = (0..COPIERS).map(|_| start_copying()).collect();
    let seconds = parameter::count(SECONDS.0, SECONDS.1).to_string();

    let mut command = Command::new(PROGRAM);
    command.args(["--dev", STRESSORS, "--dev-file", NODE]);
    command.args(["--timeout", &seconds, "--temp-path", "/tmp"]);
    let output = command.output().expect("the program starts");

    let said = [output.stdout, output.stderr].concat();
    for line in String::from_utf8_lossy(&said).lines() {
        println!("# {line}");
    }
    for mut copier in copiers {
        // The end of its input.
        drop(copier.stdin.take());
        let status = copier.wait().expect("a child of ours");
        assert!(status.success(), "a process that copies: {status}");
    }
    assert!(output.status.success(), "stress-ng: {}", output.status);
    assert_device_works(&open());
    Ok(())
}
