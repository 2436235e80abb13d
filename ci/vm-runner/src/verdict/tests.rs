// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tests with the results of small guests, and with ends of all kinds.

use super::*;
use crate::guest_clock::GuestClock;
use crate::hang::{Hang, HungProgram};
use crate::kernel::Kernel;
use crate::ktap::Stream;
use ringbar_kernel_log::{Line, Taint};
use std::time::Duration;

fn observed(results: &str) -> Observed {
    let mut stream = Stream::default();
    for line in results.lines() {
        stream.line(line, Duration::ZERO);
    }
    Observed {
        ending: Ending::PoweredOff,
        ending_details: Vec::new(),
        kernel: read_to_the_end(),
        results: stream.finish(Duration::ZERO),
        watched: Watched::default(),
        witness: Vec::new(),
    }
}

/// Returns a kernel whose log init has read, without a complaint in it.
fn read_to_the_end() -> Kernel {
    let mut kernel = Kernel::default();
    kernel.log_line(Line::End {
        records: 400,
        taint: Taint::MODULE,
    });
    kernel
}

fn messages(observed: &Observed) -> Vec<String> {
    let verdict = Verdict::of(observed);
    verdict.failures.into_iter().map(|f| f.message).collect()
}

const GOOD: &str = "1..2\n# Subtest: a\n 1..2\n ok 1 x\n ok 2 y # SKIP\nok 1 a\nok 2 b\n";

#[test]
fn good_run_counts_its_cases() {
    let verdict = Verdict::of(&observed(GOOD));

    assert!(verdict.is_good());
    assert_eq!((verdict.passed, verdict.skipped), (2, 1));
}

#[test]
fn failed_case_is_named_with_its_program() {
    let observed = observed("1..1\n 1..1\n # expected 1\n not ok 1 x\nnot ok 1 a\n");

    let verdict = Verdict::of(&observed);

    assert_eq!(verdict.failures.len(), 1);
    assert_eq!(verdict.failures[0].message, "a: x");
    assert_eq!(verdict.failures[0].details, ["expected 1"]);
}

#[test]
fn failed_case_in_an_ok_program_is_a_failure() {
    let observed = observed("1..1\n 1..1\n not ok 1 x\nok 1 a\n");

    assert_eq!(messages(&observed), ["a: x"]);
}

#[test]
fn failed_program_with_good_cases_is_a_failure() {
    let observed = observed("1..1\n 1..1\n ok 1 x\n # killed by SIGSEGV\nnot ok 1 a\n");

    let verdict = Verdict::of(&observed);

    assert_eq!(
        verdict.failures[0].message,
        "a: the program failed, although none of its cases did"
    );
    assert_eq!(verdict.failures[0].details, ["killed by SIGSEGV"]);
}

#[test]
fn missing_case_is_a_failure() {
    let observed = observed("1..1\n 1..3\n ok 1 x\nok 1 a\n");

    assert_eq!(messages(&observed), ["a: 3 results planned, 1 came"]);
}

#[test]
fn missing_case_of_a_group_is_a_failure() {
    let observed = observed("1..1\n 1..1\n  1..2\n  ok 1 x\n ok 1 g\nok 1 a\n");

    assert_eq!(messages(&observed), ["g: 2 results planned, 1 came"]);
}

#[test]
fn missing_program_is_a_failure() {
    let observed = observed("1..3\nok 1 a\n");

    assert_eq!(messages(&observed), ["programs: 3 results planned, 1 came"]);
}

#[test]
fn results_without_a_plan_are_a_failure() {
    let observed = observed("ok 1 a\n");

    assert!(messages(&observed)[0].starts_with("programs: no plan"));
}

#[test]
fn out_of_order_result_is_a_failure() {
    let observed = observed("1..2\nok 2 b\nok 1 a\n");

    assert_eq!(
        messages(&observed),
        ["programs: result 2 (b) came as number 1"]
    );
}

#[test]
fn silent_guest_is_a_failure() {
    assert_eq!(
        messages(&observed("")),
        ["the guest powered off without a single result"]
    );
}

#[test]
fn run_that_skips_everything_is_a_failure() {
    let observed = observed("1..1\nok 1 a # SKIP no device\n");

    assert_eq!(
        messages(&observed),
        ["nothing was tested: 0 cases passed, 1 skipped"]
    );
}

#[test]
fn program_without_a_result_is_a_failure() {
    let observed = observed("1..1\n# Subtest: a\n 1..2\n ok 1 x\n # in y\n");

    let failures = Verdict::of(&observed).failures;

    assert_eq!(failures[0].message, "a: the program printed no result");
    assert_eq!(failures[0].details, ["in y"]);
}

#[test]
fn program_whose_cases_all_ended_has_its_lines_after_the_last_one() {
    let text = "1..1\n# Subtest: a\n 1..1\n # in x\n not ok 1 x # ERROR lost\n # after x\n";
    let observed = observed(text);

    let failures = Verdict::of(&observed).failures;

    assert_eq!(failures[0].message, "a: the program printed no result");
    assert_eq!(failures[0].details, ["after x"]);
}

#[test]
fn bail_out_is_the_reason_and_missing_programs_are_not() {
    let observed = observed("KTAP version 1\nBail out! cannot load ringbar.ko: ENOEXEC\n");

    assert_eq!(
        messages(&observed),
        ["the guest gave up: cannot load ringbar.ko: ENOEXEC"]
    );
}

#[test]
fn complaint_in_the_console_fails_a_passed_run() {
    let mut observed = observed(GOOD);
    observed
        .kernel
        .console_line("[ 5.0] WARNING: CPU: 0 PID: 7", None);

    assert_eq!(
        messages(&observed),
        ["kernel warning in the console: WARNING: CPU: 0 PID: 7"]
    );
}

#[test]
fn first_of_several_complaints_is_shown_with_their_number() {
    let mut observed = observed(GOOD);
    for line in ["WARNING: CPU: 0 PID: 7", "WARNING: CPU: 1 PID: 8"] {
        observed.kernel.console_line(line, Some("a"));
    }

    assert_eq!(
        messages(&observed),
        [
            "kernel warning in the console: WARNING: CPU: 0 PID: 7 (the first of 2 complaints); \
          program a was running"
        ]
    );
}

#[test]
fn complaint_that_ended_the_run_names_the_program() {
    let mut observed = observed("1..1\n# Subtest: dma\n");
    observed.kernel.console_line("Oops: 0002", Some("poke"));
    observed.ending = Ending::Stopped {
        stage: Stage::After {
            program: "poke".into(),
        },
    };

    assert_eq!(
        messages(&observed),
        [
            "kernel oops in the console: Oops: 0002; \
             program poke had ended, the next one had not begun",
            "dma: start: the run ended before it did"
        ]
    );
}

fn said(text: &str) -> Line {
    Line::Said {
        program: Some("a".into()),
        text: text.into(),
    }
}

#[test]
fn complaint_hidden_from_the_console_fails_a_passed_run() {
    let mut observed = observed(GOOD);
    observed.kernel.log_line(said("WARNING: x.c:1 at f"));
    observed.kernel.log_line(said("RIP: 0010:f"));

    let verdict = Verdict::of(&observed);

    assert_eq!(
        verdict.failures[0].message,
        "kernel warning in the kernel's log, not shown on the console: WARNING: x.c:1 at f; \
         program a was running"
    );
    assert_eq!(
        verdict.failures[0].details,
        ["WARNING: x.c:1 at f", "RIP: 0010:f"]
    );
    assert_eq!(verdict.failures.len(), 1);
}

#[test]
fn taint_without_a_complaint_fails_a_passed_run() {
    let mut observed = observed(GOOD);
    observed.kernel.log_line(Line::Tainted {
        program: Some("a".into()),
        bits: Taint(1 << 9),
    });

    assert_eq!(
        messages(&observed),
        ["the kernel was tainted while program a was running, and no message says why: W (warning)"]
    );
}

#[test]
fn lost_records_fail_a_passed_run() {
    let mut observed = observed(GOOD);
    observed.kernel.log_line(Line::Lost {
        program: None,
        records: 12,
    });

    assert!(messages(&observed)[0].starts_with("12 records of the kernel's log"));
}

#[test]
fn unfinished_kernel_log_fails_a_passed_run() {
    let mut observed = observed(GOOD);
    observed.kernel = Kernel::default();

    assert_eq!(
        messages(&observed),
        ["the guest ended before init had read its kernel's log to the end: its kernel may have \
          panicked, with the console told to be silent (loglevel=, quiet)"]
    );
}

#[test]
fn silent_end_names_the_program_that_ran() {
    let mut observed = observed("1..1\n# Subtest: dma\n 1..2\n ok 1 x\n");
    observed.kernel = Kernel::default();

    let first = &messages(&observed)[0];

    assert!(
        first.starts_with("the guest ended while program dma was running before init"),
        "{first}"
    );
}

#[test]
fn panic_that_the_console_shows_needs_no_other_reason() {
    let mut observed = observed("1..1\n# Subtest: dma\n 1..2\n ok 1 x\n");
    observed.kernel = Kernel::default();
    let panic = "Kernel panic - not syncing: Attempted to kill init!";
    observed.kernel.console_line(panic, Some("dma"));

    let messages = messages(&observed);

    assert_eq!(
        messages[0],
        format!("kernel panic in the console: {panic}; program dma was running")
    );
    assert!(messages
        .iter()
        .all(|text| !text.contains("read its kernel's log")));
}

#[test]
fn dead_server_precedes_its_consequences() {
    let mut observed = observed("1..2\n# Subtest: dma\n 1..2\n not ok 1 x\n");
    observed.ending = Ending::ServerDied {
        device: 0,
        end: End::Signal(9),
        stage: Stage::Running {
            program: "dma".into(),
            results: 1,
        },
    };

    assert_eq!(
        messages(&observed),
        [
            "the server of device 0 ended with signal 9 (SIGKILL) while QEMU was using it; \
             program dma was running, 1 of its cases had ended",
            "dma: x",
            "dma: case_2: the run ended before it did",
        ]
    );
}

#[test]
fn time_limit_names_the_program() {
    let mut observed = observed("1..1\n# Subtest: dma\n");
    observed.ending = Ending::TimeLimit {
        limit: Duration::from_secs(120),
        stage: Stage::Running {
            program: "dma".into(),
            results: 0,
        },
    };

    assert_eq!(
        messages(&observed)[0],
        "time limit of 120 s reached: program dma was running, 0 of its cases had ended"
    );
}

/// Returns the same with a program that hung.
fn with_hung(results: &str, program: &str) -> Observed {
    let mut observed = observed(results);
    observed.watched.hung.push(HungProgram {
        program: program.into(),
        reason: "it printed no line".into(),
    });
    observed
}

#[test]
fn program_that_hung_is_named_and_its_missing_cases_are_not() {
    let results = "1..2\n# Subtest: dma\n 1..3\n ok 1 x\n # killed\nnot ok 1 dma\nok 2 b\n";

    let verdict = Verdict::of(&with_hung(results, "dma"));

    let messages: Vec<_> = verdict.failures.iter().map(|f| &f.message).collect();
    assert_eq!(
        messages,
        ["program dma hung and was killed: it printed no line"]
    );
    assert_eq!(verdict.failures[0].details, ["killed"]);
    assert_eq!(verdict.passed, 2);
}

/// Returns the kinds of failures that readers of the results alone do not see.
fn outside(observed: &Observed) -> Vec<&'static str> {
    let verdict = Verdict::of(observed);
    verdict.outside_results().iter().map(|it| it.kind).collect()
}

#[test]
fn case_that_ended_its_program_is_the_failure_and_later_ones_are_skipped() {
    let results = "1..1\n# Subtest: a\n 1..3\n ok 1 x\n # a: killed by signal 11\n \
                   not ok 2 y # ERROR killed by signal 11\n ok 3 z # SKIP not run\nnot ok 1 a\n";
    let observed = observed(results);

    let verdict = Verdict::of(&observed);

    assert_eq!(messages(&observed), ["a: y: killed by signal 11"]);
    assert_eq!((verdict.passed, verdict.skipped), (1, 1));
    assert_eq!(outside(&observed), [""; 0]);
}

#[test]
fn case_in_which_a_program_hung_is_no_failure_of_its_own() {
    let results =
        "1..1\n# Subtest: dma\n 1..1\n # dma: hung\n not ok 1 x # ERROR hung\nnot ok 1 dma\n";

    let observed = with_hung(results, "dma");

    assert_eq!(
        messages(&observed),
        ["program dma hung and was killed: it printed no line"]
    );
    assert_eq!(Verdict::of(&observed).failures[0].details, ["dma: hung"]);
    assert_eq!(outside(&observed), [""; 0]);
}

#[test]
fn failure_of_a_program_is_seen_in_the_results_unless_all_its_cases_were_skipped() {
    let passed = observed("1..1\n 1..2\n ok 1 x\n ok 2 y # SKIP\nnot ok 1 a\n");
    let skipped = observed("1..1\n 1..1\n ok 1 x # SKIP\nnot ok 1 a\n");

    assert_eq!(outside(&passed), [""; 0]);
    assert_eq!(outside(&skipped), ["program"]);
}

#[test]
fn complaint_of_the_kernel_is_not_seen_in_the_results() {
    let mut observed = observed(GOOD);
    observed.kernel.console_line("WARNING: x", None);

    assert_eq!(outside(&observed), ["console"]);
}

#[test]
fn cases_that_the_end_of_the_run_kept_from_running_count_as_skipped() {
    let observed = observed("1..3\n# Subtest: a\n 1..4\n ok 1 x\n");

    let verdict = Verdict::of(&observed);

    assert_eq!((verdict.passed, verdict.skipped), (1, 4));
}

#[test]
fn case_in_which_the_run_ended_is_a_failure_after_the_cause() {
    let mut observed = observed("1..1\n# Subtest: a\n 1..2\n ok 1 x\n # in y\n");
    observed.ending = Ending::QemuFailed {
        end: End::Signal(9),
        stage: Stage::Running {
            program: "a".into(),
            results: 1,
        },
    };

    let failures = Verdict::of(&observed).failures;

    let kinds: Vec<_> = failures.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, ["qemu", "case"]);
    assert_eq!(
        failures[1].message,
        "a: case_2: the run ended before it did"
    );
    assert_eq!(failures[1].details, ["in y"]);
    assert_eq!(outside(&observed), ["qemu"]);
}

#[test]
fn program_that_hung_before_its_first_case_is_named() {
    let results = "1..1\n# Subtest: dma\n # killed\nnot ok 1 dma\n";

    assert_eq!(
        messages(&with_hung(results, "dma")),
        ["program dma hung and was killed: it printed no line"]
    );
}

#[test]
fn program_that_hung_and_could_not_be_killed_is_shown_with_its_stack() {
    let results = "1..2\n# Subtest: dma\n # ringbar_ioctl+0x1\nnot ok 1 dma\nBail out! dma stays\n";

    let verdict = Verdict::of(&with_hung(results, "dma"));

    let kinds: Vec<_> = verdict.failures.iter().map(|f| f.kind).collect();
    assert_eq!(kinds, ["bail-out", "hang"]);
    assert_eq!(verdict.failures[1].details, ["ringbar_ioctl+0x1"]);
}

#[test]
fn program_that_passed_before_its_kill_is_good() {
    assert!(Verdict::of(&with_hung("1..1\n 1..1\n ok 1 x\nok 1 dma\n", "dma")).is_good());
}

#[test]
fn guest_that_hangs_is_named_with_its_stage() {
    let mut observed = observed("1..1\n# Subtest: dma\n");
    observed.ending = Ending::Hung {
        hang: Hang::Still { looks: 7 },
        stage: Stage::Running {
            program: "dma".into(),
            results: 0,
        },
    };

    let message = &messages(&observed)[0];

    assert!(
        message.starts_with("the guest hangs: nothing moves"),
        "{message}"
    );
    assert!(
        message.ends_with("program dma was running, 0 of its cases had ended"),
        "{message}"
    );
}

#[test]
fn wrong_clock_fails_a_passed_run() {
    let mut clock = GuestClock::default();
    for second in 1..30 {
        clock.beat(
            Duration::from_secs(second),
            Duration::from_secs(16 * second),
        );
    }
    let mut observed = observed(GOOD);
    observed.watched.clock = clock.complaint();

    let message = &messages(&observed)[0];

    assert!(
        message.starts_with("the guest's clock goes 16.00 times"),
        "{message}"
    );
}

#[test]
fn complaint_of_the_witness_fails_a_passed_run_and_is_not_seen_in_the_results() {
    let mut observed = observed(GOOD);
    observed.witness = vec!["dma: in `probe` the driver read STATUS".into()];

    assert_eq!(
        messages(&observed),
        ["witness: dma: in `probe` the driver read STATUS"]
    );
    assert_eq!(outside(&observed), ["witness"]);
}

#[test]
fn many_complaints_of_the_witness_are_one_failure_that_shows_five_and_counts_the_rest() {
    let mut observed = observed(GOOD);
    observed.witness = (1..=30).map(|number| format!("case {number}")).collect();

    let failures = Verdict::of(&observed).failures;

    assert_eq!(failures.len(), 1);
    assert_eq!(
        failures[0].message,
        "witness: case 1 (the first of 30 complaints)"
    );
    assert_eq!(
        failures[0].details,
        [
            "case 2",
            "case 3",
            "case 4",
            "case 5",
            "25 more in witness.txt"
        ]
    );
}

#[test]
fn complaint_of_the_witness_comes_after_the_failure_of_a_case() {
    let mut observed = observed("1..1\n 1..1\n not ok 1 x\nnot ok 1 a\n");
    observed.witness = vec!["a: x: not what was claimed".into()];

    assert_eq!(
        messages(&observed),
        ["a: x", "witness: a: x: not what was claimed"]
    );
}

#[test]
fn missing_program_behind_qemu_is_explained() {
    let mut observed = observed("");
    observed.ending = Ending::QemuFailed {
        end: End::Status(127),
        stage: Stage::NoKernel,
    };

    assert_eq!(
        messages(&observed),
        [
            "QEMU ended with exit status 127 (a program that it names is missing); \
             the guest never started: no line from its kernel"
        ]
    );
}
