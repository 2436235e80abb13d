// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tests of the runner's services for the benchmark: figures of the host, its own machine, and
//! timed boots.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use crate::fixture::{Fixture, GOOD_GUEST, GOOD_SERVER};
use crate::run;

/// Returns a guest that asks for a figure.
fn asking() -> Fixture {
    let guest = format!("ask 'measure speed'; answered\n{GOOD_GUEST}");
    Fixture::new(GOOD_SERVER, &guest)
}

#[test]
fn requested_figure_is_the_measuring_programs() {
    let fixture = asking();
    let program = fixture.path("measure");
    // The server must exist while it is measured.
    let script = "#!/bin/sh\n[ \"$1 $5\" = 'measure speed' ] && kill -0 \"$3\" && echo 12.5\n";
    fs::write(&program, script).expect("written");
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("made executable");

    let finished = run(&fixture, &["--measure", &program.display().to_string()]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let log = fixture.log("qemu.log");
    assert!(log.contains("answer: ok 12.5\n"), "{log}");
}

#[test]
fn runner_that_cannot_measure_replies_with_an_error() {
    let fixture = asking();

    let finished = run(&fixture, &[]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let log = fixture.log("qemu.log");
    assert!(log.contains("answer: error: this runner"), "{log}");
}

#[test]
fn argument_for_qemu_reaches_it() {
    let fixture = Fixture::new(GOOD_SERVER, GOOD_GUEST);

    run(&fixture, &["--qemu-arg=-device", "--qemu-arg=edu"]);

    assert!(fixture.log("qemu-command.txt").ends_with(" -device edu\n"));
}

/// Line of a guest that has loaded the driver.
const LOADED: &str = "tell '# driver: loaded'";

fn boot(fixture: &Fixture, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringbar-vm-runner"));
    command
        .arg("boot")
        .args(&fixture.arguments()[1..])
        .args(options);
    fixture.surround(&mut command);
    command.output().expect("the runner starts")
}

#[test]
fn boot_prints_qemus_run_time() {
    let fixture = Fixture::new(GOOD_SERVER, &format!("sleep 0.2; {LOADED}; leave"));

    let output = boot(&fixture, &[]);

    let seconds = String::from_utf8(output.stdout).expect("text");
    let seconds: f64 = seconds.trim().parse().expect("a number alone");
    assert!(output.status.success());
    // At least the sleep in it, however fast the machine is.
    assert!(seconds >= 0.2, "{seconds}");
    assert!(fixture.log("qemu-command.txt").contains("ringbar.boot"));
}

#[test]
fn boot_without_a_device_starts_no_server() {
    let fixture = Fixture::new("exit 1", &format!("{LOADED}; leave"));

    let output = boot(&fixture, &["--devices", "0"]);

    assert!(output.status.success(), "{output:?}");
    assert!(!fixture.log("qemu-command.txt").contains("vfio-user"));
}

/// Returns the runner's message for a boot that it must not count.
fn uncounted(guest: &str) -> String {
    let output = boot(&Fixture::new(GOOD_SERVER, guest), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn boot_that_fails_prints_no_figure() {
    let told = uncounted("leave; exit 3");

    assert!(
        told.contains("the boot failed: QEMU ended with exit status 3"),
        "{told}"
    );
}

#[test]
fn boot_without_the_driver_fails_with_the_reason() {
    let told = uncounted("tell 'Bail out! cannot load it: no memory'; leave");

    assert!(
        told.contains("the boot failed: the guest reports: cannot load it: no memory;"),
        "{told}"
    );
}

#[test]
fn boot_that_ends_before_the_driver_is_loaded_fails() {
    let told = uncounted("say 'Kernel panic - not syncing'; leave");

    assert!(told.contains("did not report that it has loaded"), "{told}");
}
