// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Runs that end in every possible way. None may leave a process behind.

mod figures;
mod fixture;
mod hangs;
mod hotplug;
mod judge;
mod own;
mod terminal;

use std::process::Command;

use fixture::{signal, wait_for, Finished, Fixture, GOOD_GUEST, GOOD_SERVER};
use rustix::process::Signal;

/// Runs the runner, and asserts that no process is left.
fn run(fixture: &Fixture, options: &[&str]) -> Finished {
    let finished = fixture.run(options);
    assert_eq!(fixture.processes(), [""; 0], "processes left behind");
    finished
}

#[track_caller]
fn assert_failed(finished: &Finished, reason: &str) {
    let (summary, all) = (finished.summary(), &finished.stderr);
    assert_eq!(finished.status.code(), Some(1), "{all}");
    assert!(summary.starts_with("ringbar: FAILED: "), "{all}");
    assert!(summary.contains(reason), "{all}");
    assert!(all.contains("logs:  "), "{all}");
    assert!(all.contains("again: "), "{all}");
}

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

#[test]
fn broken_kvm_falls_back_to_tcg() {
    let guest = format!("case \"$*\" in *'accel kvm'*) echo no kvm; exit 1 ;; esac\n{GOOD_GUEST}");
    let fixture = Fixture::new(GOOD_SERVER, &guest);

    let finished = run(&fixture, &["--accel", "auto"]);

    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    assert!(finished.stderr.contains("fell back to TCG"));
    assert!(finished.stderr.contains("booting (TCG)"));
}

#[test]
fn required_but_broken_kvm_is_a_failure() {
    let fixture = Fixture::new(GOOD_SERVER, "exit 1");

    let finished = run(&fixture, &["--accel", "kvm"]);

    assert_failed(&finished, "KVM was asked for, but ");
}

#[test]
fn wrong_command_line_has_its_own_status() {
    let fixture = Fixture::new(GOOD_SERVER, GOOD_GUEST);

    let finished = run(&fixture, &["--smp", "1"]);

    assert_eq!(finished.status.code(), Some(2));
    assert!(finished.stderr.contains("fences"), "{}", finished.stderr);
}

#[test]
fn temporary_folder_with_a_long_name_is_refused_with_advice() {
    let fixture = Fixture::new(GOOD_SERVER, GOOD_GUEST);
    let long = fixture.path(&"x".repeat(100));
    std::fs::create_dir(&long).expect("a folder");

    let output = fixture
        .command(&[])
        .env("TMPDIR", &long)
        .output()
        .expect("the runner starts");

    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("set TMPDIR"), "{stderr}");
}

#[test]
fn nothing_stays_in_the_temporary_folder() {
    let fixture = Fixture::new(GOOD_SERVER, GOOD_GUEST);
    let temporary = fixture.path("tmp");
    std::fs::create_dir(&temporary).expect("a folder");

    let output = fixture
        .command(&[])
        .env("TMPDIR", &temporary)
        .output()
        .expect("the runner starts");

    assert_eq!(output.status.code(), Some(0));
    assert_eq!(std::fs::read_dir(&temporary).expect("there").count(), 0);
}

/// Ends the one process of the fixture that is left.
fn end_sleeper(fixture: &Fixture) {
    for pid in fixture.process_ids() {
        signal(pid, Signal::KILL);
    }
}
