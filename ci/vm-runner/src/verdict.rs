// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Judgement of a run. Pure: from observations to failures.

use std::fmt;
use std::time::Duration;

use ringbar_kernel_log::Complaint;

use crate::guard::Watched;
use crate::hang::Hang;
use crate::kernel::Kernel;
use crate::ktap::{Outcome, Results, Test};
use crate::process::End;

/// Complaints of the witness that are shown after the first one. Otherwise they would push failed
/// cases out of sight.
const SHOWN_COMPLAINTS: usize = 4;

/// Progress of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No line of a kernel came.
    NoKernel,
    /// The kernel runs, but no program has started.
    Booting,
    /// A program runs, and has so many results.
    Running { program: String, results: usize },
    /// The named program has ended, and the next one has not started.
    After { program: String },
    /// All programs have ended.
    Done,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKernel => write!(f, "the guest never started: no line from its kernel"),
            Self::Booting => write!(f, "the guest was booting, no program had begun"),
            Self::Running { program, results } => {
                write!(
                    f,
                    "program {program} was running, {results} of its cases had ended"
                )
            }
            Self::After { program } => {
                write!(f, "program {program} had ended, the next one had not begun")
            }
            Self::Done => write!(f, "all programs had ended, the guest did not power off"),
        }
    }
}

/// Reason for which the run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The guest powered off, and QEMU and the servers ended well.
    PoweredOff,
    /// The runner ended it because of a message from the guest.
    Stopped { stage: Stage },
    /// A signal ended the runner. Without a stage, the guest had ended already.
    Interrupted { signal: i32, stage: Option<Stage> },
    /// The run could not be made, or not carried on.
    NotMade(String),
    /// A server ended while QEMU ran, or ended badly.
    ServerDied { device: u32, end: End, stage: Stage },
    /// A server did not end after QEMU.
    ServerStuck { device: u32, limit: Duration },
    /// QEMU ended badly.
    QemuFailed { end: End, stage: Stage },
    /// The guest hangs.
    Hung { hang: Hang, stage: Stage },
    /// The time limit of the user was reached.
    TimeLimit { limit: Duration, stage: Stage },
}

/// Observations of a run.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// Reason for its end.
    pub(crate) ending: Ending,
    /// Log lines that explain the end.
    pub(crate) ending_details: Vec<String>,
    /// Messages of the kernel.
    pub(crate) kernel: Kernel,
    /// Results of the programs.
    pub(crate) results: Results,
    /// Programs that hung, and a wrong clock.
    pub(crate) watched: Watched,
    /// Complaints of the witness.
    pub(crate) witness: Vec<String>,
}

impl Observed {
    /// Returns the observation of a run that could not be made.
    pub(crate) fn not_made(reason: String) -> Self {
        Self {
            ending: Ending::NotMade(reason),
            ending_details: Vec::new(),
            kernel: Kernel::default(),
            results: Results::default(),
            watched: Watched::default(),
            witness: Vec::new(),
        }
    }
}

/// A failure of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Kind of failure, for tools.
    pub(crate) kind: &'static str,
    /// One line for people.
    pub(crate) message: String,
    /// Diagnostics and lines from logs.
    pub(crate) details: Vec<String>,
    /// Whether a reader of the guest's results alone sees it.
    pub(crate) in_results: bool,
}

/// Judgement of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Failures, the likeliest cause first. Failed cases are among them.
    pub(crate) failures: Vec<Failure>,
    /// Cases that passed.
    pub(crate) passed: usize,
    /// Cases that were skipped.
    pub(crate) skipped: usize,
}

impl Verdict {
    /// Judges a run.
    pub(crate) fn of(observed: &Observed) -> Self {
        // In this order: the first failure is the headline, and a cause must precede its effects.
        let mut verdict = Self::default();
        verdict.processes(observed);
        if let Some(clock) = &observed.watched.clock {
            verdict.fail("guest-clock", clock.to_string(), &[]);
        }
        verdict.complaints(observed);
        verdict.hidden(observed);
        verdict.guest(observed);
        let completed = observed.ending == Ending::PoweredOff;
        for program in observed.results.whole() {
            verdict.program(&program, &observed.watched, completed);
        }
        if completed && observed.results.bail_out.is_none() {
            verdict.completeness(&observed.results);
        }
        verdict.witness(&observed.witness);
        verdict
    }

    /// Returns the failures that a reader of the guest's results alone would not see.
    pub(crate) fn outside_results(&self) -> Vec<&Failure> {
        self.failures.iter().filter(|it| !it.in_results).collect()
    }

    /// Returns whether the run has no failure.
    pub(crate) fn is_good(&self) -> bool {
        self.failures.is_empty()
    }

    /// Adds a failure.
    fn fail(&mut self, kind: &'static str, message: String, details: &[String]) {
        self.failures.push(Failure {
            kind,
            message,
            details: details.to_vec(),
            in_results: false,
        });
    }

    /// Adds a failure that the guest's results show as well, if `shown`.
    fn fail_in_results(
        &mut self,
        kind: &'static str,
        message: String,
        details: &[String],
        shown: bool,
    ) {
        self.fail(kind, message, details);
        if let Some(failure) = self.failures.last_mut() {
            failure.in_results = shown;
        }
    }

    /// Adds the failure of QEMU, a server, or the set-up.
    fn processes(&mut self, observed: &Observed) {
        let (kind, message) = match &observed.ending {
            Ending::NotMade(reason) => ("setup", reason.clone()),
            Ending::Interrupted { signal, stage } => {
                let stage = stage.as_ref().map(|stage| format!("; {stage}"));
                let stage = stage.unwrap_or_default();
                (
                    "interrupted",
                    format!("interrupted by signal {signal}{stage}"),
                )
            }
            Ending::ServerDied { device, end, stage } => (
                "server",
                format!(
                    "the server of device {device} ended with {end} while QEMU was using it; \
                     {stage}"
                ),
            ),
            Ending::ServerStuck { device, limit } => (
                "server",
                format!(
                    "the server of device {device} did not end within {} s after QEMU had gone",
                    limit.as_secs()
                ),
            ),
            Ending::QemuFailed { end, stage } => (
                "qemu",
                format!("QEMU ended with {end}{}; {stage}", hint(*end)),
            ),
            Ending::PoweredOff
            | Ending::Stopped { .. }
            | Ending::Hung { .. }
            | Ending::TimeLimit { .. } => return,
        };
        self.fail(kind, message, &observed.ending_details);
    }

    /// Adds the kernel's complaints as one failure.
    fn complaints(&mut self, observed: &Observed) {
        let complaints = observed.kernel.complaints();
        let Some(first) = complaints.first() else {
            return;
        };
        let source = if first.on_console {
            "the console"
        } else {
            "the kernel's log, not shown on the console"
        };
        let more = match complaints.len() {
            1 => String::new(),
            count => format!(" (the first of {count} complaints)"),
        };
        let place = match (&observed.ending, &first.program) {
            (Ending::Stopped { stage }, _) => format!("; {stage}"),
            (_, Some(program)) => format!("; program {program} was running"),
            (_, None) => String::new(),
        };
        let Complaint { what, line, .. } = &first.complaint;
        let message = format!("{what} in {source}: {line}{more}{place}");
        self.fail("console", message, observed.kernel.details());
    }

    /// Adds problems that the console may have hidden: taints without a complaint, and a log that
    /// was not read.
    fn hidden(&mut self, observed: &Observed) {
        for (program, bits) in observed.kernel.silent_taints() {
            let when = match program {
                Some(program) => format!("while program {program} was running"),
                None => "while no program was running".to_owned(),
            };
            let message = format!("the kernel was tainted {when}, and no message says why: {bits}");
            self.fail("kernel", message, &[]);
        }
        match observed.kernel.lost {
            0 => {}
            lost => {
                let message = format!(
                    "{lost} records of the kernel's log were overwritten before init read them, a complaint \
                     may be among them: make room by KERNEL_ARGS=log_buf_len=16M"
                );
                self.fail("kernel", message, &[]);
            }
        }
        // If the guest gave up or the run was stopped, the reason is already a failure.
        let explained =
            observed.results.bail_out.is_some() || !observed.kernel.complaints().is_empty();
        let ended = observed.ending == Ending::PoweredOff;
        if ended && !explained && !observed.kernel.read_to_the_end {
            let programs = observed.results.programs.iter();
            let mut unfinished = programs.filter(|test| test.outcome == Outcome::Unfinished);
            let when = unfinished
                .next()
                .map(|test| format!("while program {} was running ", test.name));
            let message = format!(
                "the guest ended {}before init had read its kernel's log to the end: its kernel may have \
                 panicked, with the console told to be silent (loglevel=, quiet)",
                when.unwrap_or_default()
            );
            self.fail("kernel", message, &[]);
        }
    }

    /// Adds a guest that gave up or hung, and a reached time limit.
    fn guest(&mut self, observed: &Observed) {
        if let Some(reason) = &observed.results.bail_out {
            self.fail("bail-out", format!("the guest gave up: {reason}"), &[]);
        }
        match &observed.ending {
            Ending::Hung { hang, stage } => {
                let message = format!("the guest hangs: {hang}; {stage}");
                self.fail("hang", message, &observed.ending_details);
            }
            Ending::TimeLimit { limit, stage } => {
                let message = format!("time limit of {} s reached: {stage}", limit.as_secs());
                self.fail("time-limit", message, &observed.ending_details);
            }
            _ => (),
        }
    }

    /// Adds the complaints of the witness as one failure. It comes last: records that end too early
    /// are an effect of a machine that did.
    fn witness(&mut self, complaints: &[String]) {
        let Some((first, others)) = complaints.split_first() else {
            return;
        };
        let more = match complaints.len() {
            1 => String::new(),
            count => format!(" (the first of {count} complaints)"),
        };
        let mut details: Vec<String> = others.iter().take(SHOWN_COMPLAINTS).cloned().collect();
        if let Some(left @ 1..) = others.len().checked_sub(SHOWN_COMPLAINTS) {
            details.push(format!("{left} more in witness.txt"));
        }
        self.fail("witness", format!("witness: {first}{more}"), &details);
    }

    /// Adds the failures of a program and its cases.
    fn program(&mut self, program: &Test, watched: &Watched, completed: bool) {
        let failures_before = self.failures.len();
        if self.hung(program, watched) {
            return;
        }
        if program.parts.is_empty() {
            self.case(&program.name, program);
            return;
        }
        if completed && program.outcome == Outcome::Unfinished {
            let message = format!("{}: the program printed no result", program.name);
            self.fail("program", message, &program.diagnostics);
        }
        program.for_each_case(&mut |path, case| {
            self.case(&format!("{}: {path}", program.name), case);
        });
        if program.outcome == Outcome::Unfinished {
            return;
        }
        self.plan(program);
        if program.outcome == Outcome::Failed && self.failures.len() == failures_before {
            let message = format!(
                "{}: the program failed, although none of its cases did",
                program.name
            );
            let shown = shows_its_own_failure(program);
            self.fail_in_results("program", message, &program.diagnostics, shown);
        }
    }

    /// Adds the failure of a program that hung. Its missing cases are no failures of their own. A
    /// program that passed meanwhile did not hang.
    fn hung(&mut self, program: &Test, watched: &Watched) -> bool {
        let mut all = watched.hung.iter();
        let hung = all.find(|hung| hung.program == program.name);
        let Some(hung) = hung.filter(|_| program.outcome != Outcome::Passed) else {
            return false;
        };
        let message = format!(
            "program {} hung and was killed: {}",
            hung.program, hung.reason
        );
        let mut details = program.diagnostics.clone();
        let mut shown = shows_its_own_failure(program);
        program.for_each_case(&mut |path, case| {
            // The case in which it hung is the same failure.
            if case.outcome == Outcome::Crashed {
                details.extend_from_slice(&case.diagnostics);
                shown = true;
            } else if !program.parts.is_empty() {
                self.case(&format!("{}: {path}", program.name), case);
            }
        });
        self.fail_in_results("hang", message, &details, shown);
        true
    }

    /// Counts a case, or adds its failure.
    fn case(&mut self, name: &str, case: &Test) {
        match case.outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Skipped => self.skipped += 1,
            Outcome::Failed | Outcome::Crashed => {
                let message = match case.reason.as_str() {
                    "" => name.to_owned(),
                    reason => format!("{name}: {reason}"),
                };
                self.fail_in_results("case", message, &case.diagnostics, true);
            }
            // A program that planned no case. The end of the run is already a failure.
            Outcome::Unfinished => (),
        }
    }

    /// Compares the results of a test and of its parts with their plans.
    fn plan(&mut self, test: &Test) {
        let complaint = plan_complaint(test.planned, &test.parts);
        if let Some(complaint) = complaint {
            let message = format!("{}: {complaint}", test.name);
            self.fail("plan", message, &test.diagnostics);
        }
        for part in test.parts.iter().filter(|part| !part.parts.is_empty()) {
            self.plan(part);
        }
    }

    /// Compares the programs with the plan, and fails a run that tested nothing.
    fn completeness(&mut self, results: &Results) {
        if results.planned.is_none() && results.programs.is_empty() {
            let message = "the guest powered off without a single result".to_owned();
            self.fail("plan", message, &[]);
            return;
        }
        if let Some(complaint) = plan_complaint(results.planned, &results.programs) {
            self.fail("plan", format!("programs: {complaint}"), &[]);
        }
        if self.is_good() && self.passed == 0 {
            let message = format!(
                "nothing was tested: 0 cases passed, {} skipped",
                self.skipped
            );
            self.fail("plan", message, &[]);
        }
    }
}

/// Returns whether readers count a failed program as a failure of its own: they do if it has cases
/// and all that ran passed, or if it has none.
fn shows_its_own_failure(program: &Test) -> bool {
    let (mut passed, mut failed) = (false, false);
    program.for_each_case(&mut |_, case| {
        passed |= case.outcome == Outcome::Passed;
        failed |= case.outcome.is_failure();
    });
    program.outcome.is_failure() && (program.parts.is_empty() || (passed && !failed))
}

/// Returns the difference between a plan and its results.
fn plan_complaint(planned: Option<u64>, tests: &[Test]) -> Option<String> {
    let Some(planned) = planned else {
        return Some("no plan (1..N), so missing results cannot be noticed".to_owned());
    };
    let came = tests.len();
    if u64::try_from(came) != Ok(planned) {
        return Some(format!("{planned} results planned, {came} came"));
    }
    let wrong = tests
        .iter()
        .zip(1u64..)
        .find(|(test, place)| test.number.is_some_and(|number| number != *place));
    wrong.map(|(test, place)| {
        format!(
            "result {} ({}) came as number {place}",
            test.number.unwrap_or_default(),
            test.name
        )
    })
}

/// Returns the meaning of the two exit statuses that a shell itself produces.
fn hint(end: End) -> &'static str {
    match end {
        End::Status(126) => " (a program that it names cannot be run)",
        End::Status(127) => " (a program that it names is missing)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest_clock::GuestClock;
    use crate::hang::HungProgram;
    use crate::ktap::Stream;
    use ringbar_kernel_log::{Line, Taint};

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
        let observed = observed("1..1\n# Subtest: a\n 1..2\n ok 1 x\n");

        assert_eq!(messages(&observed)[0], "a: the program printed no result");
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
        let results =
            "1..2\n# Subtest: dma\n # ringbar_ioctl+0x1\nnot ok 1 dma\nBail out! dma stays\n";

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
}
