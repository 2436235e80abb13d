// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Guests that hang. One script plays QEMU, the guest, and a virtual processor, which is a process
//! of that name.

use crate::fixture::{Fixture, GOOD_GUEST, GOOD_SERVER};
use crate::{assert_failed, run};

/// Limits are a hundredth of the usual ones: some tenths of a second of processor time.
const HASTE: [&str; 2] = ["--haste", "100"];

/// Makes a process that looks like a virtual processor.
const PROCESSOR: &str = "printf 'CPU 0/TCG' > /proc/self/comm; say 'Linux version 7'";

/// Spins, so that limits pass.
const SPIN: &str = "while :; do :; done";

/// Beats in another process, without idle time. It uses the host's time: otherwise the runner would
/// find the guest's clock wrong in a long test.
const BEATS: &str = "(while sleep 0.1; do beat $(now) 0 dma; done) & beating=$!";

/// Beats in the same way, with two idle processors.
const IDLE_BEATS: &str = "(while sleep 0.1; do n=$(now); beat $n $(awk \"BEGIN { print 2 * $n }\") dma; done) & beating=$!";

fn run_hasty(guest: &str) -> (Fixture, crate::fixture::Finished) {
    let fixture = Fixture::new(GOOD_SERVER, guest);
    let finished = run(&fixture, &HASTE);
    (fixture, finished)
}

#[test]
fn motionless_guest_ends_the_run() {
    let guest = "say 'Linux version 7'; beat 1 0; tell 1..1 '# Subtest: dma'; sleep 1000";

    let (_, finished) = run_hasty(guest);

    assert_failed(&finished, "the guest hangs: nothing moves");
    assert!(
        finished.summary().contains("program dma was running"),
        "{}",
        finished.stderr
    );
}

#[test]
fn kernel_that_spins_ends_the_run() {
    let guest = format!("{PROCESSOR}; beat 1 0; tell 1..1 '# Subtest: dma'; {SPIN}");

    let (_, finished) = run_hasty(&guest);

    assert_failed(&finished, "the guest hangs: its kernel spins");
    assert!(
        finished.stderr.contains("Linux version 7"),
        "{}",
        finished.stderr
    );
}

#[test]
fn endless_boot_ends_the_run() {
    let (_, finished) = run_hasty(&format!("{PROCESSOR}; {SPIN}"));

    assert_failed(&finished, "the guest hangs: its kernel has run for ");
}

#[test]
fn program_that_spins_is_killed_and_the_next_one_runs() {
    let guest = format!(
        "{BEATS}; beat $(now) 0; tell 1..2 '# Subtest: dma' ' 1..2' ' ok 1 a'
        ({PROCESSOR}; {SPIN}) & spinner=$!
        ordered; kill $spinner $beating
        tell ' # dma: hung and was killed' 'not ok 1 dma' '# Subtest: queue' ' 1..1' ' ok 1 b' 'ok 2 queue'
        leave"
    );

    let (fixture, finished) = run_hasty(&guest);

    assert_failed(
        &finished,
        "program dma hung and was killed: it printed no line in ",
    );
    assert_eq!(finished.stdout, "2 passed, 1 failed, 0 skipped\n");
    let log = fixture.log("qemu.log");
    assert!(
        log.contains("order: kill dma it printed no line in "),
        "{log}"
    );
}

#[test]
fn program_that_sleeps_is_killed() {
    let guest = format!(
        "say 'Linux version 7'; beat $(now) 0; tell 1..1 '# Subtest: dma'
        {IDLE_BEATS}
        ordered; kill $beating; tell 'not ok 1 dma'; leave"
    );

    let (_, finished) = run_hasty(&guest);

    assert_failed(
        &finished,
        "program dma hung and was killed: it printed no line in ",
    );
}

#[test]
fn init_that_cannot_kill_a_program_ends_the_run_with_its_stack() {
    let guest = format!(
        "{BEATS}; beat $(now) 0; tell 1..2 '# Subtest: dma' ' 1..1'
        ({PROCESSOR}; {SPIN}) & spinner=$!
        ordered; kill $spinner
        tell ' # cannot be killed: 7 (dma), state D' ' #   ringbar_ioctl+0x1' 'not ok 1 dma' 'Bail out! dma stays'
        sleep 1000"
    );

    let (_, finished) = run_hasty(&guest);

    assert_failed(&finished, "the guest gave up: dma stays");
    assert!(
        finished.stderr.contains("program dma hung"),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stderr.contains("ringbar_ioctl+0x1"),
        "{}",
        finished.stderr
    );
}

#[test]
fn quiet_guest_with_beats_passes() {
    let guest = format!("for _ in 1 2 3; do beat $(now) 0; sleep 0.5; done; {GOOD_GUEST}");

    let (_, finished) = run_hasty(&guest);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
}
