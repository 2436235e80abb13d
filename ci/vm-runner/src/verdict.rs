// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Judgement of a run. Pure: from observations to failures.

mod observed;

use ringbar_kernel_log::Complaint;

use crate::guard::Watched;
use crate::ktap::{Outcome, Results, Test};
use crate::process::End;

pub(crate) use observed::{Ending, Observed, Stage};

/// Complaints of the witness that are shown after the first one. Otherwise they would push failed
/// cases out of sight.
const SHOWN_COMPLAINTS: usize = 4;

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
        let more = others(complaints.len());
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
        let Some((first, rest)) = complaints.split_first() else {
            return;
        };
        let more = others(complaints.len());
        let mut details: Vec<String> = rest.iter().take(SHOWN_COMPLAINTS).cloned().collect();
        if let Some(left @ 1..) = rest.len().checked_sub(SHOWN_COMPLAINTS) {
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
            self.fail("program", message, program.last_lines());
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

/// Returns the words after the first of so many complaints: none after a single one.
fn others(count: usize) -> String {
    match count {
        0 | 1 => String::new(),
        _ => format!(" (the first of {count} complaints)"),
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
mod tests;
