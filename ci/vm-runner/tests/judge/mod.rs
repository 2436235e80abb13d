// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Runs that the witness judges. The runner writes the reports after it.

use rustix::process::Signal;

use crate::fixture::{signal, Finished, Fixture, GOOD_GUEST, GOOD_SERVER};
use crate::{assert_failed, run};

/// Returns a fixture with a good guest and this judge.
fn fixture(judge: &str) -> Fixture {
    let fixture = Fixture::new(GOOD_SERVER, GOOD_GUEST);
    fixture.script("judge", judge);
    fixture
}

/// Returns the options of a run with the judge.
fn options(fixture: &Fixture) -> Vec<String> {
    let judge = fixture.path("judge").display().to_string();
    let options = ["--plugin", "plugin.so", "--judge", judge.as_str()];
    options.map(str::to_owned).to_vec()
}

/// Runs the runner with the judge.
fn judged(fixture: &Fixture) -> Finished {
    let options = options(fixture);
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    run(fixture, &options)
}

#[test]
fn run_that_the_witness_accepts_is_good_in_all_reports() {
    let fixture = fixture("exit 0");

    let finished = judged(&fixture);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    assert_eq!(fixture.log("witness.txt"), "");
    assert!(!fixture.log("results.ktap").contains("machine"));
    assert!(fixture.report("results.json").contains("\"good\": true"));
    let junit = fixture.report("junit.xml");
    assert!(!junit.contains("<error"), "{junit}");
}

#[test]
fn run_that_only_the_witness_refuses_is_red_in_all_reports() {
    let fixture =
        fixture("echo 'poke: reads: it read twice'; echo 'poke: writes: it did not'; exit 1");

    let finished = judged(&fixture);

    let reason = "witness: poke: reads: it read twice (the first of 2 complaints)";
    assert_failed(&finished, reason);
    assert_eq!(finished.stdout, "2 passed, 1 failed, 0 skipped\n");
    let all = "poke: reads: it read twice\npoke: writes: it did not\n";
    assert_eq!(fixture.log("witness.txt"), all);
    let ktap = fixture.log("results.ktap");
    assert!(
        ktap.contains("\n1..2\r\n") || ktap.contains("\n1..2\n"),
        "{ktap}"
    );
    let end =
        "    1..1\n    # witness: poke: reads: it read twice (the first of 2 complaints)\n    \
               # poke: writes: it did not\n    not ok 1 witness\nnot ok 2 machine\n";
    assert!(ktap.ends_with(end), "{ktap}");
    let json = fixture.report("results.json");
    assert!(json.contains("\"good\": false"), "{json}");
    assert!(json.contains("\"kind\": \"witness\""), "{json}");
    let junit = fixture.report("junit.xml");
    assert!(
        junit.contains("<testcase name=\"witness\" classname=\"default.machine\""),
        "{junit}"
    );
    assert!(
        junit.contains(&format!("<error message=\"{reason}\"")),
        "{junit}"
    );
}

#[test]
fn judge_sees_the_records_of_the_whole_run() {
    let fixture = fixture("until [ \"$1\" = --logs ]; do shift; done; cat \"$2/qemu.log\"; exit 1");
    fixture.script("qemu", &format!("{GOOD_GUEST}\necho the last line >&2"));

    let finished = judged(&fixture);

    assert_failed(&finished, "witness: the last line");
}

#[test]
fn arguments_of_the_judge_come_before_the_folder() {
    let fixture = fixture("echo \"$1 $2 $3\"; exit 1");
    let mut options = options(&fixture);
    options.extend(["judge", "--module=x"].map(|word| format!("--judge-arg={word}")));
    let options: Vec<_> = options.iter().map(String::as_str).collect();

    let finished = run(&fixture, &options);

    assert_failed(&finished, "witness: judge --module=x --logs");
}

#[test]
fn judge_that_dies_without_a_word_fails_the_run_and_keeps_its_results() {
    let fixture = fixture("kill -9 $$");

    let finished = judged(&fixture);

    assert_failed(
        &finished,
        "ended with signal 9 (SIGKILL) and printed no reason",
    );
    assert_eq!(finished.stdout, "2 passed, 1 failed, 0 skipped\n");
}

#[test]
fn missing_judge_is_named_and_the_results_stay() {
    let fixture = fixture("exit 0");
    std::fs::remove_file(fixture.path("judge")).expect("removed");

    let finished = judged(&fixture);

    assert_failed(&finished, "witness: the judge of the witness");
    assert!(
        finished.summary().contains("--judge"),
        "{}",
        finished.stderr
    );
    assert_eq!(finished.stdout, "2 passed, 1 failed, 0 skipped\n");
}

#[test]
fn judge_without_a_plugin_is_refused() {
    let fixture = fixture("exit 0");

    let finished = run(&fixture, &["--judge", "judge"]);

    assert_eq!(finished.status.code(), Some(2));
    assert!(finished.stderr.contains("--plugin"), "{}", finished.stderr);
}

#[test]
fn interruption_ends_the_judge() {
    let fixture = fixture("ready; sleep 1000");
    let options = options(&fixture);
    let options: Vec<_> = options.iter().map(String::as_str).collect();

    let runner = fixture
        .command(&options)
        .spawn()
        .expect("the runner starts");
    fixture.wait_until_ready();
    signal(runner.id(), Signal::INT);
    let output = runner.wait_with_output().expect("it ends");

    assert_eq!(output.status.code(), Some(130));
    assert_eq!(fixture.processes(), [""; 0]);
    let junit = fixture.report("junit.xml");
    assert!(
        junit.contains("<error message=\"interrupted by signal 2\""),
        "{junit}"
    );
    assert!(junit.contains("<testcase name=\"writes\""), "{junit}");
}
