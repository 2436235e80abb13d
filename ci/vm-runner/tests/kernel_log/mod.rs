// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Complaints of the guest's kernel, which fail a run whatever its cases say.

use crate::fixture::{Fixture, GOOD_GUEST, GOOD_SERVER};
use crate::{assert_failed, run};

#[test]
fn wrong_module_ends_the_run_although_the_guest_stays() {
    let guest = "tell 'KTAP version 1' 'Bail out! cannot load ringbar.ko: ENOEXEC'; sleep 1000";
    let fixture = Fixture::new(GOOD_SERVER, guest);

    let finished = run(&fixture, &[]);

    assert_failed(
        &finished,
        "the guest gave up: cannot load ringbar.ko: ENOEXEC",
    );
    assert!(
        !finished.stderr.contains("time limit"),
        "{}",
        finished.stderr
    );
}

#[test]
fn oops_ends_the_run_and_its_trace_is_shown() {
    let guest = "say '[    5.0] Oops: 0002 [#1] SMP'; sleep 0.2
        say '[    5.1] RIP: 0010:ringbar_probe'
        sleep 1000";
    let fixture = Fixture::new(GOOD_SERVER, guest);

    let finished = run(&fixture, &[]);

    assert_failed(&finished, "kernel oops in the console: Oops: 0002");
    assert!(
        !finished.stderr.contains("time limit"),
        "{}",
        finished.stderr
    );
    assert!(finished.stderr.contains("RIP: 0010:ringbar_probe"));
}

#[test]
fn warning_fails_a_passed_run() {
    let guest = format!("say '[    3.0] WARNING: CPU: 0 PID: 7 at x'\n{GOOD_GUEST}");
    let fixture = Fixture::new(GOOD_SERVER, &guest);

    let finished = run(&fixture, &[]);

    assert_failed(&finished, "kernel warning in the console");
    assert_eq!(finished.stdout, "2 passed, 1 failed, 0 skipped\n");
}

#[test]
fn warning_hidden_from_the_console_fails_a_passed_run() {
    let guest = format!(
        "tell '# kernel-log said poke: WARNING: x.c:1 at f' '# kernel-log said poke: RIP: f'
        {GOOD_GUEST}"
    );
    let fixture = Fixture::new(GOOD_SERVER, &guest);

    let finished = run(&fixture, &[]);

    assert_failed(&finished, "kernel warning in the kernel's log");
    assert!(finished.summary().contains("program poke was running"));
    assert!(finished.stderr.contains("RIP: f"), "{}", finished.stderr);
    assert_eq!(finished.stdout, "2 passed, 1 failed, 0 skipped\n");
}

#[test]
fn unfinished_kernel_log_fails_the_run() {
    let guest = GOOD_GUEST.replace("leave", "off");
    let fixture = Fixture::new(GOOD_SERVER, &guest);

    let finished = run(&fixture, &[]);

    assert_failed(
        &finished,
        "before init had read its kernel's log to the end",
    );
    assert_eq!(finished.stdout, "2 passed, 1 failed, 0 skipped\n");
}

#[test]
fn oops_hidden_from_the_console_ends_the_run() {
    let guest = "tell '1..1' '# Subtest: dma' '# kernel-log said dma: Oops: 0002 [#1] SMP'
        sleep 1000";
    let fixture = Fixture::new(GOOD_SERVER, guest);

    let finished = run(&fixture, &[]);

    assert_failed(&finished, "kernel oops in the kernel's log");
    assert!(!finished.stderr.contains("time limit"));
}
