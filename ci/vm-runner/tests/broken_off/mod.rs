// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Runs that are broken off, interrupted or killed: their reports, and the processes that they leave.

use std::process::Command;

use crate::fixture::{signal, wait_for, Fixture, GOOD_GUEST, GOOD_SERVER};
use crate::{assert_failed, run};
use rustix::process::Signal;

#[test]
fn results_of_a_run_that_was_broken_off_are_completed_with_its_failure() {
    let guest = "tell 'KTAP version 1' '# programs: dma, queue' 1..2
        tell '    KTAP version 1' '    # Subtest: dma' '    # cases: a, b, c' '    1..3' '    ok 1 a'
        tell '# kernel-log said dma: Oops: 0002 [#1] SMP'
        sleep 1000";
    let fixture = Fixture::new(GOOD_SERVER, guest);

    let finished = run(&fixture, &[]);

    let results = fixture.log("results.ktap");
    let plans: Vec<_> = results
        .lines()
        .filter(|line| line.contains("1.."))
        .collect();
    assert_eq!(plans, ["1..3", "    1..3", "    1..1"], "{results}");
    for line in [
        "    not ok 2 b # ERROR the run ended before it did",
        "    ok 3 c # SKIP not run: the run had ended",
        "not ok 1 dma",
        "ok 2 queue # SKIP not run: the run had ended",
    ] {
        assert!(results.contains(&format!("\n{line}\n")), "{results}");
    }
    assert!(
        results.ends_with("    not ok 1 console\nnot ok 3 machine\n"),
        "{results}"
    );
    assert_eq!(finished.stdout, "1 passed, 2 failed, 2 skipped\n");
}

#[test]
fn junit_of_a_run_that_was_broken_off_has_all_cases_and_programs() {
    let guest = "tell 'KTAP version 1' '# programs: dma, queue' 1..2
        tell '    KTAP version 1' '    # Subtest: dma' '    # cases: a, b, c' '    1..3' '    ok 1 a'
        echo bad >&2; exit 1";
    let fixture = Fixture::new(GOOD_SERVER, guest);

    let finished = run(&fixture, &[]);

    assert_failed(&finished, "QEMU ended with exit status 1");
    let junit = fixture.report("junit.xml");
    let seen: Vec<_> = junit.lines().map(str::trim).collect();
    for (class, name, result) in [
        ("dma", "b", "<error message=\"the run ended before it did\""),
        (
            "dma",
            "c",
            "<skipped message=\"not run: the run had ended\"/>",
        ),
        (
            "queue",
            "queue",
            "<skipped message=\"not run: the run had ended\"/>",
        ),
        (
            "machine",
            "qemu",
            "<error message=\"QEMU ended with exit status 1",
        ),
    ] {
        let case = format!("<testcase name=\"{name}\" classname=\"default.{class}\"");
        let place = seen.iter().position(|line| line.starts_with(&case));
        let place = place.unwrap_or_else(|| panic!("no {name}: {junit}"));
        assert!(seen[place + 1].starts_with(result), "{name}: {junit}");
    }
}

#[test]
fn interrupted_run_ends_everything() {
    let guest = "ready; trap '' TERM; while :; do sleep 0.1; done";
    let fixture = Fixture::new(GOOD_SERVER, guest);
    assert_eq!(fixture.interrupt(Signal::INT), Some(130));
}

#[test]
fn reports_of_an_interrupted_run_have_its_cases_and_the_reason() {
    let guest = "say 'Linux version 7'; tell 'KTAP version 1' '# programs: dma, queue' 1..2
        tell '    KTAP version 1' '    # Subtest: dma' '    # cases: a, b' '    1..2' '    ok 1 a'
        ready; sleep 1000";
    let fixture = Fixture::new(GOOD_SERVER, guest);

    assert_eq!(fixture.interrupt(Signal::INT), Some(130));

    let results = fixture.log("results.ktap");
    let end = "    not ok 2 b # ERROR the run ended before it did\nnot ok 1 dma\n\
               ok 2 queue # SKIP not run: the run had ended\n    KTAP version 1\n    \
               # Subtest: machine\n    1..1\n    # interrupted by signal 2; program dma was running, \
               1 of its cases had ended\n    not ok 1 interrupted\nnot ok 3 machine\n";
    assert!(results.ends_with(end), "{results}");
    let junit = fixture.report("junit.xml");
    assert!(junit.contains("<testcase name=\"interrupted\""), "{junit}");
    assert!(fixture.report("results.json").contains("\"good\": false"));
}

#[test]
fn reports_of_a_run_that_was_interrupted_before_it_began_have_the_reason() {
    let fixture = Fixture::new("ready; exec sleep 1000", GOOD_GUEST);

    assert_eq!(fixture.interrupt(Signal::INT), Some(130));

    let results = fixture.log("results.ktap");
    assert!(
        results.contains("# interrupted by signal 2; the guest never started"),
        "{results}"
    );
}

#[test]
fn terminated_run_ends_everything() {
    let fixture = Fixture::new(GOOD_SERVER, "ready; sleep 1000");
    assert_eq!(fixture.interrupt(Signal::TERM), Some(143));
}

#[test]
fn children_die_with_a_runner_that_is_killed() {
    let fixture = Fixture::new("listening; exec sleep 1000", "ready; exec sleep 1000");
    let mut runner = fixture.command(&[]).spawn().expect("the runner starts");
    fixture.wait_until_ready();

    signal(runner.id(), Signal::KILL);
    runner.wait().expect("it ends");

    wait_for("the children to die", || fixture.processes().is_empty());
}

#[test]
fn green_reports_of_an_earlier_run_do_not_survive_a_runner_that_is_killed() {
    let fixture = Fixture::new(GOOD_SERVER, GOOD_GUEST);
    run(&fixture, &[]);
    assert!(fixture.report("results.json").contains("\"good\": true"));
    let console = fixture.path("report/logs/default/console.log");
    assert!(console.exists());
    std::fs::remove_file(fixture.path("gone")).expect("removed");
    fixture.script("qemu", "ready; exec sleep 1000");

    let mut runner = fixture.command(&[]).spawn().expect("the runner starts");
    fixture.wait_until_ready();
    signal(runner.id(), Signal::KILL);
    runner.wait().expect("it ends");

    wait_for("the children to die", || fixture.processes().is_empty());
    assert!(fixture.report("results.json").contains("\"good\": false"));
    let junit = fixture.report("junit.xml");
    assert!(
        junit.contains("<error message=\"this run has no end"),
        "{junit}"
    );
    let results = fixture.log("results.ktap");
    assert!(
        results.ends_with("    not ok 1 setup\nnot ok 1 machine\n"),
        "{results}"
    );
    assert!(!console.exists(), "a log of the earlier run is left");
}

#[test]
fn children_that_the_runner_did_not_start_stay() {
    let fixture = Fixture::new(GOOD_SERVER, GOOD_GUEST);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "sleep 1000 & exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_ringbar-vm-runner"))
        .args(fixture.arguments());
    fixture.surround(&mut shell);

    // Not `output()`: the sleeper holds the pipes open, and reading them would not end.
    let status = shell.spawn().expect("it starts").wait().expect("it ends");

    let left = fixture.processes();
    assert_eq!(status.code(), Some(0));
    assert_eq!(left, ["sleep\x001000\0"]);
    end_sleeper(&fixture);
}

/// Ends the one process of the fixture that is left.
fn end_sleeper(fixture: &Fixture) {
    for pid in fixture.process_ids() {
        signal(pid, Signal::KILL);
    }
}
