// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Servers, QEMUs and guests that end too early, too late or never. None may outlive its run.

use crate::fixture::{Fixture, GOOD_GUEST, GOOD_SERVER};
use crate::{assert_failed, run};

#[test]
fn server_that_is_killed_ends_the_run() {
    let server =
        "listening; until [ -e \"$RINGBAR_FIXTURE/ready\" ]; do sleep 0.02; done; kill -9 $$";
    let guest = "say 'Linux version 7'; tell 1..1 '# Subtest: dma'; ready; sleep 1000";
    let fixture = Fixture::new(server, guest);

    let finished = run(&fixture, &[]);

    assert_failed(
        &finished,
        "the server of device 0 ended with signal 9 (SIGKILL) while QEMU was using it; \
         program dma was running",
    );
}

#[test]
fn server_that_leaves_ends_the_run() {
    let fixture = Fixture::new("echo bye; listening", "sleep 1000");

    let finished = run(&fixture, &["--haste", "30"]);

    assert_failed(&finished, "the server of device 0 ended with exit status 0");
    assert!(finished.stderr.contains("bye"));
}

#[test]
fn server_that_is_never_ready_is_shown_with_its_output() {
    let fixture = Fixture::new("echo no such option >&2; exit 2", GOOD_GUEST);

    let finished = run(&fixture, &[]);

    assert_failed(&finished, "ended with exit status 2 before it was ready");
    assert!(finished.stderr.contains("no such option"));
}

#[test]
fn server_that_stays_is_ended() {
    let fixture = Fixture::new("listening; sleep 1000", GOOD_GUEST);

    let finished = run(&fixture, &["--haste", "30"]);

    assert_failed(&finished, "did not end within 2 s after QEMU had gone");
}

#[test]
fn missing_server_is_named() {
    let fixture = Fixture::new(GOOD_SERVER, GOOD_GUEST);
    std::fs::remove_file(fixture.path("server")).expect("removed");

    let finished = run(&fixture, &[]);

    assert_failed(&finished, "the device server");
    assert!(finished.summary().contains("cannot be started"));
}

#[test]
fn missing_qemu_is_named_and_the_server_ended() {
    let fixture = Fixture::new(GOOD_SERVER, GOOD_GUEST);
    std::fs::remove_file(fixture.path("qemu")).expect("removed");

    let finished = run(&fixture, &[]);

    assert_failed(&finished, "QEMU");
    assert!(finished.summary().contains("--qemu"));
}

#[test]
fn missing_kernel_is_named() {
    let fixture = Fixture::new(GOOD_SERVER, GOOD_GUEST);
    std::fs::remove_file(fixture.path("kernel")).expect("removed");

    let finished = run(&fixture, &[]);

    assert_failed(&finished, "the guest kernel");
}

#[test]
fn failed_qemu_is_shown_with_its_output() {
    let fixture = Fixture::new(GOOD_SERVER, "echo 'qemu: bad machine' >&2; leave; exit 1");

    let finished = run(&fixture, &[]);

    assert_failed(
        &finished,
        "QEMU ended with exit status 1; the guest never started",
    );
    assert!(finished.stderr.contains("qemu: bad machine"));
}

#[test]
fn silent_guest_is_a_failure() {
    let fixture = Fixture::new(GOOD_SERVER, "leave");

    let finished = run(&fixture, &[]);

    assert_failed(&finished, "without a single result");
}

#[test]
fn time_limit_names_the_program_that_runs() {
    let guest = "say 'Linux version 7'; tell 1..2 '# Subtest: dma' ' ok 1 a'; sleep 1000";
    let fixture = Fixture::new(GOOD_SERVER, guest);

    let finished = run(&fixture, &["--timeout", "1"]);

    assert_failed(
        &finished,
        "time limit of 1 s reached: program dma was running, 1 of its cases had ended",
    );
}

#[test]
fn guest_that_never_starts_is_distinguished_from_a_hang() {
    let fixture = Fixture::new(GOOD_SERVER, "sleep 1000");

    let finished = run(&fixture, &["--timeout", "1"]);

    assert_failed(&finished, "the guest never started");
}

#[test]
fn qemu_that_ignores_sigterm_is_killed() {
    let guest = "trap '' TERM INT HUP; while :; do sleep 0.1; done";
    let fixture = Fixture::new(GOOD_SERVER, guest);

    let finished = run(&fixture, &["--timeout", "1"]);

    assert_failed(&finished, "time limit");
}

#[test]
fn processes_in_the_background_are_ended_too() {
    let guest = format!("(sleep 1000) &\n{GOOD_GUEST}");
    let fixture = Fixture::new(GOOD_SERVER, &guest);

    let finished = run(&fixture, &[]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
}

#[test]
fn processes_that_left_their_group_are_ended_too() {
    let guest = format!("setsid sh -c 'setsid sleep 1000 & sleep 1000' &\n{GOOD_GUEST}");
    let fixture = Fixture::new(GOOD_SERVER, &guest);

    let finished = run(&fixture, &[]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
}
