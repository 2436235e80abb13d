// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a run shows of cases, programs and their stories, and which command it names next.

use crate::fixture::{Fixture, GOOD_GUEST, GOOD_SERVER};
use crate::{assert_failed, run};

#[test]
fn good_run_prints_its_totals() {
    let fixture = Fixture::new(GOOD_SERVER, GOOD_GUEST);

    let finished = run(&fixture, &[]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let last = finished.stderr.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("ringbar: 1 program, 2 cases passed in "),
        "{last}"
    );
    assert_eq!(finished.stdout, "2 passed, 0 failed, 0 skipped\n");
    assert!(finished.stderr.contains("kernel  Linux 7.3.4"));
    assert!(finished.stderr.contains("✓ poke"));
}

#[test]
fn good_run_keeps_its_logs_apart() {
    let fixture = Fixture::new(
        &format!("echo from the server\n{GOOD_SERVER}"),
        &format!("echo from QEMU >&2\n{GOOD_GUEST}"),
    );

    run(&fixture, &[]);

    assert!(fixture.log("server.log").contains("from the server"));
    assert_eq!(fixture.log("qemu.log"), "from QEMU\n");
    assert!(fixture.log("console.log").contains("Linux version"));
    assert!(fixture.log("results.ktap").contains("ok 1 poke"));
    assert!(fixture.log("qemu-command.txt").contains("vfio-user-pci"));
}

#[test]
fn good_run_writes_both_reports() {
    let fixture = Fixture::new(GOOD_SERVER, GOOD_GUEST);

    run(&fixture, &["--name", "default"]);

    let json = fixture.report("results.json");
    let junit = fixture.report("junit.xml");
    assert!(json.contains("\"good\": true"), "{json}");
    assert!(junit.contains("default/poke"), "{junit}");
}

#[test]
fn failed_case_is_shown_with_its_diagnostics() {
    let guest = "tell 1..1 '# Subtest: poke' ' 1..1' ' # expected 7, got 8' ' not ok 1 scratch'
        tell 'not ok 1 poke'
        leave";
    let fixture = Fixture::new(GOOD_SERVER, guest);

    let finished = run(&fixture, &["--rerun-hint", "make run TESTS=poke"]);

    assert_failed(&finished, "poke: scratch");
    assert!(finished.stderr.contains("expected 7, got 8"));
    assert!(finished.stderr.contains("again: make run TESTS=poke"));
    assert_eq!(finished.stdout, "0 passed, 1 failed, 0 skipped\n");
}

/// A guest in which the first of three programs passes and the others fail.
const TWO_FAIL: &str = "tell 1..3 '# Subtest: a' ' 1..1' ' ok 1 x' 'ok 1 a'
    tell '# Subtest: b' ' 1..1' ' not ok 1 y' 'not ok 2 b'
    tell '# Subtest: c' ' 1..1' ' not ok 1 z' 'not ok 3 c'
    leave";

#[test]
fn failed_case_is_followed_by_the_command_that_traces_its_program() {
    let fixture = Fixture::new(GOOD_SERVER, TWO_FAIL);

    let finished = run(&fixture, &["--trace-hint", "make trace IOMMU='1'"]);

    let last = finished.stderr.lines().last().unwrap_or_default();
    assert_eq!(last, "record all accesses: make trace IOMMU='1' TESTS=b,c");
}

#[test]
fn traced_run_does_not_suggest_a_trace() {
    let fixture = Fixture::new(GOOD_SERVER, TWO_FAIL);

    let options = ["--trace-hint", "make trace", "--plugin", "plugin.so"];
    let finished = run(&fixture, &options);

    assert_failed(&finished, "b: y");
    assert!(!finished.stderr.contains("record all accesses"));
}

#[test]
fn run_for_coverage_records_executed_code_and_no_accesses() {
    let server = format!("echo \"called with: $*\" >&2\n{GOOD_SERVER}");
    let fixture = Fixture::new(&server, GOOD_GUEST);

    let finished = run(&fixture, &["--plugin", "plugin.so", "--coverage"]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let command = fixture.log("qemu-command.txt");
    assert!(command.contains("/executed.jsonl,"), "{command}");
    assert!(command.contains(",record=code"), "{command}");
    let log = fixture.log("server.log");
    assert!(!log.contains("--events"), "{log}");
}

#[test]
fn failure_outside_of_cases_does_not_suggest_a_trace() {
    let fixture = Fixture::new(GOOD_SERVER, "leave");

    let finished = run(&fixture, &["--trace-hint", "make trace"]);

    assert_failed(&finished, "without a single result");
    assert!(!finished.stderr.contains("record all accesses"));
}

#[test]
fn story_of_a_case_is_shown_below_its_program() {
    let guest = "tell 1..1 '# Subtest: tour' ' 1..1' ' # seed 5' ' # | DMA   before' ' # |   00 00' ' ok 1 dma' 'ok 1 tour'
        leave";
    let fixture = Fixture::new(GOOD_SERVER, guest);

    let finished = run(&fixture, &[]);

    let all = finished.stderr;
    let below = all.split_once("✓ tour").map_or("", |(_, rest)| rest);
    let lines: Vec<_> = below.lines().skip(1).take(2).collect();
    assert_eq!(lines, ["  │ DMA   before", "  │   00 00"], "{all}");
    assert!(!all.contains("seed 5"), "{all}");
}

#[test]
fn reasons_of_skipped_cases_are_shown_below_their_program() {
    let guest =
        "tell 1..1 '# Subtest: dma' ' 1..5' ' ok 1 a' ' ok 2 b # SKIP no IOMMU' ' ok 3 c # SKIP'
        tell ' ok 4 d # SKIP no IOMMU' ' ok 5 e # SKIP one device' 'ok 1 dma'
        leave";
    let fixture = Fixture::new(GOOD_SERVER, guest);

    let finished = run(&fixture, &[]);

    let all = finished.stderr;
    let below = all.split_once("✓ dma").map_or("", |(_, rest)| rest);
    let lines: Vec<_> = below.lines().skip(1).take(3).collect();
    let expected = [
        "  2 skipped: no IOMMU",
        "  1 skipped: without a reason",
        "  1 skipped: one device",
    ];
    assert_eq!(lines, expected, "{all}");
}

#[test]
fn endless_list_of_reasons_is_cut() {
    let guest = "tell 1..1 '# Subtest: dma' ' 1..13' ' ok 1 a'
        for number in $(seq 2 13); do tell \" ok $number c$number # SKIP reason $number\"; done
        tell 'ok 1 dma'; leave";
    let fixture = Fixture::new(GOOD_SERVER, guest);

    let finished = run(&fixture, &[]);

    let all = finished.stderr;
    assert!(all.contains("  1 skipped: reason 11\n"), "{all}");
    assert!(!all.contains("reason 12"), "{all}");
    assert!(all.contains("  2 more reasons in results.ktap"), "{all}");
}

#[test]
fn story_of_a_failed_case_is_no_detail_of_the_failure() {
    let guest = "tell 1..1 '# Subtest: tour' ' 1..1' ' # | after 00' ' # still 00' ' not ok 1 dma' 'not ok 1 tour'
        leave";
    let fixture = Fixture::new(GOOD_SERVER, guest);

    let finished = run(&fixture, &[]);

    assert_failed(&finished, "tour: dma");
    let shown = "  │ after 00\n  ✗ dma\n    still 00\n";
    assert!(finished.stderr.contains(shown), "{}", finished.stderr);
}

#[test]
fn endless_story_is_cut_and_escapes_are_removed() {
    let guest = r#"tell 1..1 '# Subtest: tour' ' 1..1'
        for line in $(seq 43); do tell " # | $(printf '\033')[2J$line"; done
        tell ' ok 1 dma' 'ok 1 tour'
        leave"#;
    let fixture = Fixture::new(GOOD_SERVER, guest);

    let finished = run(&fixture, &[]);

    let all = finished.stderr;
    assert!(all.contains("  │ \u{fffd}[2J40\n"), "{all}");
    assert!(!all.contains("[2J41"), "{all}");
    assert!(all.contains("3 more in results.ktap"), "{all}");
}
