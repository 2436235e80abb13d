// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Messages for people, on standard error. Standard output has only the one line for tools.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use ::console::Style;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ringbar_kernel_log::Complaint;

use crate::ktap::{Outcome, Progress, Test};
use crate::machine::Acceleration;
use crate::verdict::{Failure, Verdict};

/// Diagnostics shown per failed case. The logs have the others.
const SHOWN_DIAGNOSTICS: usize = 20;

/// Lines per program that its cases may show to people, whatever their outcome.
const SHOWN_STORY: usize = 40;

/// Reasons of skipped cases shown per program.
const SHOWN_REASONS: usize = 10;

/// The terminal, or another file behind standard error.
pub(crate) struct Screen {
    began: Instant,
    status: ProgressBar,
    doing: String,
    good: Style,
    bad: Style,
    dim: Style,
}

impl Screen {
    /// Starts the clock of the run.
    pub(crate) fn new() -> Self {
        let status = ProgressBar::new_spinner();
        if !io::stderr().is_terminal() {
            status.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            status.set_style(style);
        }
        Self {
            began: Instant::now(),
            status,
            doing: String::new(),
            good: Style::new().for_stderr().green(),
            bad: Style::new().for_stderr().red().bold(),
            dim: Style::new().for_stderr().dim(),
        }
    }

    /// Returns the time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Prints a remark.
    pub(crate) fn note(&self, text: &str) {
        self.say(&self.dim.apply_to(printable(text)).to_string());
    }

    /// Shows that the machine starts.
    pub(crate) fn booting(&mut self, acceleration: Acceleration) {
        self.doing = format!("booting ({})…", acceleration.name());
        self.say(&self.doing);
    }

    /// Shows the current activity and the time.
    pub(crate) fn tick(&mut self, running: Option<(&str, usize)>) {
        if self.status.is_hidden() {
            return;
        }
        let doing = match running {
            Some((program, results)) => format!("{program}: {}", plural(results, "result")),
            None => self.doing.clone(),
        };
        let seconds = self.began.elapsed().as_secs();
        self.status
            .set_message(format!("{}  {seconds} s", printable(&doing)));
        self.status.tick();
    }

    /// Shows that a case of a program has run for this long and goes on.
    pub(crate) fn still(&self, program: &str, case: Option<&str>, ran: Duration) {
        let case = case.map_or_else(String::new, |case| format!("case {case} of "));
        let seconds = ran.as_secs();
        self.note(&format!("still in {case}{program}: {seconds} s"));
    }

    /// Removes the status line, so that another program can use the terminal.
    pub(crate) fn rest(&self) {
        self.status.finish_and_clear();
    }

    /// Shows a change in the guest's results.
    pub(crate) fn progress(&mut self, progress: Option<&Progress>) {
        match progress {
            Some(Progress::Fact(key, value)) => {
                self.say(&format!("{:<8}{}", printable(key), printable(value)));
            }
            Some(Progress::Ended(test)) => {
                self.doing = "waiting for the guest".to_owned();
                self.program(test);
            }
            Some(Progress::BailedOut(reason)) => {
                let text = format!("the guest gave up: {}", printable(reason));
                self.say(&self.bad.apply_to(text).to_string());
            }
            Some(Progress::Started(_) | Progress::Case) | None => (),
        }
    }

    /// Shows a complaint of the kernel.
    pub(crate) fn complaint(&self, complaint: &Complaint) {
        let text = format!("{}: {}", complaint.what, printable(&complaint.line));
        self.say(&self.bad.apply_to(text).to_string());
    }

    /// Shows more lines about the last message.
    pub(crate) fn details(&self, lines: &[String]) {
        for line in lines {
            self.say(&format!("    {}", printable(line)));
        }
    }

    /// Prints the end of a run: one line for tools, then text for people.
    pub(crate) fn finish(
        &mut self,
        verdict: &Verdict,
        programs: usize,
        duration: Duration,
        logs: &Path,
        rerun: &str,
    ) {
        self.status.finish_and_clear();
        for (place, failure) in verdict.failures.iter().enumerate() {
            self.failure(failure, place == 0);
        }
        let (passed, skipped) = (verdict.passed, verdict.skipped);
        let failed = verdict.failures.len();
        // An error is ignored: a reader that has gone must not fail the run.
        let _ = writeln!(
            io::stdout(),
            "{passed} passed, {failed} failed, {skipped} skipped"
        );
        let seconds = duration.as_secs_f64();
        let Some(first) = verdict.failures.first() else {
            let skipped = match skipped {
                0 => String::new(),
                count => format!(", {count} skipped"),
            };
            let programs = plural(programs, "program");
            let cases = plural(passed, "case");
            let text = format!("{programs}, {cases} passed{skipped} in {seconds:.1} s");
            self.say(&format!("ringbar: {}", self.good.apply_to(text)));
            return;
        };
        let more = match failed {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let text = format!("FAILED: {}{more}", printable(&first.message));
        self.say(&format!("ringbar: {}", self.bad.apply_to(text)));
        self.say(&format!("logs:  {}", logs.display()));
        self.say(&format!("again: {rerun}"));
    }

    /// Shows the result of a program and its failed cases.
    fn program(&self, test: &Test) {
        let mut cases = Vec::new();
        test.for_each_case(&mut |path, case| cases.push((path, case)));
        let count = |outcome| cases.iter().filter(|(_, c)| c.outcome == outcome).count();
        let failed = count(Outcome::Failed) + count(Outcome::Crashed);
        let skipped = match count(Outcome::Skipped) {
            0 => String::new(),
            count => format!(", {count} skipped"),
        };
        let total = match failed {
            0 => plural(cases.len(), "case"),
            count => format!("{count} of {} failed", plural(cases.len(), "case")),
        };
        let mark = if failed > 0 || test.outcome.is_failure() {
            self.bad.apply_to("✗")
        } else {
            self.good.apply_to("✓")
        };
        let seconds = test.duration.as_secs_f64();
        let name = printable(&test.name);
        self.say(&format!(
            "{mark} {name:<20} {total}{skipped}, {seconds:.1} s"
        ));
        self.skipped(&skips(cases.iter().map(|(_, case)| *case)));
        self.story(cases.iter().map(|(_, case)| *case));
        for (path, case) in cases {
            if case.outcome.is_failure() {
                self.failed_case(&path, case);
            }
        }
    }

    /// Shows why cases of a program were skipped.
    fn skipped(&self, reasons: &[(&str, usize)]) {
        for (reason, count) in reasons.iter().take(SHOWN_REASONS) {
            self.note(&format!("  {count} skipped: {reason}"));
        }
        match reasons.len().saturating_sub(SHOWN_REASONS) {
            0 => (),
            more => self.note(&format!("  {more} more reasons in results.ktap")),
        }
    }

    /// Shows the lines that the cases of a program print for people.
    fn story<'a>(&self, cases: impl Iterator<Item = &'a Test>) {
        let mut lines =
            cases.flat_map(|case| case.diagnostics.iter().filter_map(|line| told(line)));
        let bar = self.dim.apply_to("│");
        for line in lines.by_ref().take(SHOWN_STORY) {
            self.say(&format!("  {bar} {}", printable(line)));
        }
        match lines.count() {
            0 => (),
            more => self.note(&format!("  │ {more} more in results.ktap")),
        }
    }

    /// Shows a failed case and its diagnostics.
    fn failed_case(&self, path: &str, case: &Test) {
        let mark = self.bad.apply_to("✗");
        self.say(&format!("  {mark} {}", printable(path)));
        let lines = case.diagnostics.iter().filter(|line| told(line).is_none());
        let shown: Vec<_> = lines.take(SHOWN_DIAGNOSTICS).cloned().collect();
        self.details(&shown);
    }

    /// Shows a failure. Cases were already shown, and the headline follows in one line below.
    fn failure(&self, failure: &Failure, is_headline: bool) {
        if failure.kind == "case" || (is_headline && failure.details.is_empty()) {
            return;
        }
        let mark = self.bad.apply_to("✗");
        self.say(&format!("{mark} {}", printable(&failure.message)));
        self.details(&failure.details);
    }

    /// Prints a line of text above the status line.
    pub(crate) fn say(&self, line: &str) {
        self.status.suspend(|| {
            // An error is ignored: a reader that has gone must not fail the run.
            let _ = writeln!(io::stderr(), "{line}");
        });
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.status.finish_and_clear();
    }
}

/// Returns the reasons of skipped cases in the order of the first case with each, and how many
/// cases have it.
fn skips<'a>(cases: impl Iterator<Item = &'a Test>) -> Vec<(&'a str, usize)> {
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for case in cases.filter(|case| case.outcome == Outcome::Skipped) {
        let reason = match case.reason.as_str() {
            "" => "without a reason",
            reason => reason,
        };
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => reasons.push((reason, 1)),
        }
    }
    reasons
}

/// Returns the text of a diagnostic for people: one that begins with `| `. It is shown whatever the
/// outcome.
fn told(diagnostic: &str) -> Option<&str> {
    let text = diagnostic.strip_prefix('|')?;
    // KTAP drops trailing white space. So an empty line arrives as the bar alone.
    text.strip_prefix(' ').or(text.is_empty().then_some(""))
}

/// Returns a number and a noun, in the plural if needed.
fn plural(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// Replaces control characters. Otherwise text from the guest could control the user's terminal.
pub(crate) fn printable(text: &str) -> String {
    let visible = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_of_the_guest_do_not_reach_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\tc"), "a\u{fffd}[2Jb c");
    }

    #[test]
    fn diagnostic_with_a_bar_is_printed_with_its_indentation() {
        assert_eq!(told("|   before  00"), Some("  before  00"));
        assert_eq!(told("|"), Some(""));
    }

    #[test]
    fn other_diagnostics_are_not_printed() {
        for line in ["seed 5", "||", "|x", "", " | x"] {
            assert_eq!(told(line), None, "{line}");
        }
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(plural(1, "case"), "1 case");
        assert_eq!(plural(0, "case"), "0 cases");
    }
}
