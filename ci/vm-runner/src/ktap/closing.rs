// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The end of the results of a failed run, for readers that have nothing else.
//!
//! The guest knows neither a failure of the machine nor that it was stopped. Without these lines, a
//! reader would find a plan that was not kept, or a run that looks green.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use super::cut::BROKEN_OFF;
use super::line::{self, Kind};
use super::tree::{Outcome, Results, Test};
use crate::verdict::Failure;

/// Name of the part with the failures that are no cases of the guest.
pub(crate) const MACHINE: &str = "machine";

/// Lines to add, and the plan that fits them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closing {
    planned: usize,
    lines: Vec<String>,
}

impl Closing {
    /// Returns the end that `results` need, with the failures that they do not show.
    pub(crate) fn of(results: &Results, failures: &[&Failure]) -> Self {
        let mut lines = Vec::new();
        for (program, number) in results.programs.iter().zip(1..) {
            unfinished(&mut lines, program, number);
        }
        let mut planned = results.programs.len();
        for program in results.not_begun() {
            planned = planned.saturating_add(1);
            lines.push(result(&program, planned));
        }
        if !failures.is_empty() {
            planned = planned.saturating_add(1);
            machine(&mut lines, failures, planned);
        }
        Self { planned, lines }
    }

    /// Returns whether the results are complete without it.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Adds the lines to a file of results, and puts its plan right. The file is replaced as a whole.
    pub(crate) fn add_to(&self, path: &Path) -> io::Result<()> {
        let unfinished = path.with_extension("ktap.new");
        let lines = match File::open(path) {
            Ok(file) => Some(BufReader::new(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut output = BufWriter::new(File::create(&unfinished)?);
        match lines {
            Some(lines) => self.write(lines, &mut output)?,
            None => self.write(io::empty(), &mut output)?,
        }
        output
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        fs::rename(&unfinished, path)
    }

    /// Copies the lines of the guest, with this plan in place of theirs, and adds its own.
    fn write(&self, guest: impl BufRead, output: &mut impl Write) -> io::Result<()> {
        let plan = format!("1..{}", self.planned);
        let mut has_plan = false;
        let mut is_first = true;
        for line in guest.split(b'\n') {
            let line = line?;
            let text = String::from_utf8_lossy(&line);
            let line = line::parse(&text);
            if is_first && line.kind != Kind::Version {
                writeln!(output, "KTAP version 1")?;
            }
            is_first = false;
            let ends_plan = matches!(line.kind, Kind::Result(_) | Kind::Subtest(_));
            let is_plan = line.indent == 0 && matches!(line.kind, Kind::Plan(_));
            if !has_plan && (is_plan || ends_plan) {
                writeln!(output, "{plan}")?;
                has_plan = true;
                if is_plan {
                    continue;
                }
            }
            writeln!(output, "{}", text.trim_end_matches('\r'))?;
        }
        if is_first {
            writeln!(output, "KTAP version 1")?;
        }
        if !has_plan {
            writeln!(output, "{plan}")?;
        }
        for line in &self.lines {
            writeln!(output, "{line}")?;
        }
        Ok(())
    }
}

/// Adds the rest of a program that the end of the run cut off.
fn unfinished(lines: &mut Vec<String>, program: &Test, number: usize) {
    if program.outcome != Outcome::Unfinished {
        return;
    }
    let cases = program.cut_off();
    if program.planned.is_none() && !cases.is_empty() {
        lines.push(format!("    1..{}", cases.len()));
    }
    let numbers = program.parts.len().saturating_add(1)..;
    for (case, number) in cases.iter().zip(numbers) {
        lines.push(format!("    {}", result(case, number)));
    }
    let mut failed = cases.iter().any(|case| case.outcome.is_failure());
    program.for_each_case(&mut |_, case| failed |= case.outcome.is_failure());
    let name = &program.name;
    lines.push(match failed {
        true => format!("not ok {number} {name}"),
        // All of its cases had ended.
        false => format!("ok {number} {name} # SKIP {BROKEN_OFF}"),
    });
}

/// Returns the result line of a test that the end of the run cut off.
fn result(test: &Test, number: usize) -> String {
    let (word, directive) = match test.outcome.is_failure() {
        true => ("not ok", "ERROR"),
        false => ("ok", "SKIP"),
    };
    let Test { name, reason, .. } = test;
    format!("{word} {number} {name} # {directive} {reason}")
}

/// Adds the failures that are no cases of the guest.
fn machine(lines: &mut Vec<String>, failures: &[&Failure], number: usize) {
    lines.push("    KTAP version 1".to_owned());
    lines.push(format!("    # Subtest: {MACHINE}"));
    lines.push(format!("    1..{}", failures.len()));
    let names = names(failures.iter().map(|failure| failure.kind));
    for ((failure, name), number) in failures.iter().zip(names).zip(1..) {
        for line in std::iter::once(&failure.message).chain(&failure.details) {
            lines.push(format!("    # {}", plain(line)));
        }
        lines.push(format!("    not ok {number} {name}"));
    }
    lines.push(format!("not ok {number} {MACHINE}"));
}

/// Returns a name of its own for each failure: its kind, and a number from the second one on.
pub(crate) fn names<'a>(kinds: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut seen: Vec<&str> = Vec::new();
    let mut names = Vec::new();
    for kind in kinds {
        let before = seen.iter().filter(|other| **other == kind).count();
        seen.push(kind);
        names.push(match before {
            0 => kind.to_owned(),
            _ => format!("{kind}-{}", before.saturating_add(1)),
        });
    }
    names
}

/// Returns the text in one line, for readers that end lines at more characters than a line feed.
fn plain(text: &str) -> String {
    let separator = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.replace(separator, " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ktap::Stream;
    use std::time::Duration;

    const SKIP: &str = "# SKIP not run: the run had ended";

    /// Returns the results of these lines, closed.
    fn closed(guest: &str, failures: &[&Failure]) -> String {
        let mut stream = Stream::default();
        for line in guest.lines() {
            stream.line(line, Duration::ZERO);
        }
        let closing = Closing::of(&stream.finish(Duration::ZERO), failures);
        let mut output = Vec::new();
        closing
            .write(guest.as_bytes(), &mut output)
            .expect("written");
        String::from_utf8(output).expect("text")
    }

    fn failure(kind: &'static str) -> Failure {
        Failure {
            kind,
            message: format!("{kind} failed\nbadly"),
            details: vec!["a detail".into()],
            in_results: false,
        }
    }

    const WHOLE: &str =
        "KTAP version 1\n# kernel: x\n1..1\n    KTAP version 1\n    # Subtest: a\n    \
                         1..1\n    ok 1 x\nok 1 a\n# kernel-log end: 1 records, taint 0x0\n";

    #[test]
    fn whole_results_need_no_end() {
        let mut stream = Stream::default();
        for line in WHOLE.lines() {
            stream.line(line, Duration::ZERO);
        }

        assert!(Closing::of(&stream.finish(Duration::ZERO), &[]).is_empty());
        assert_eq!(closed(WHOLE, &[]), WHOLE);
    }

    #[test]
    fn failures_of_the_machine_are_a_part_of_their_own_in_the_plan() {
        let (first, second) = (failure("console"), failure("console"));

        let expected = WHOLE.replacen("1..1", "1..2", 1)
            + "    KTAP version 1\n    # Subtest: machine\n    1..2\n    # console failed badly\n    \
               # a detail\n    not ok 1 console\n    # console failed badly\n    # a detail\n    \
               not ok 2 console-2\nnot ok 2 machine\n";
        assert_eq!(closed(WHOLE, &[&first, &second]), expected);
    }

    #[test]
    fn program_that_was_cut_off_is_closed_and_later_ones_are_skipped() {
        let guest =
            "KTAP version 1\n# programs: a, b\n1..3\n    KTAP version 1\n    # Subtest: a\n    \
             # cases: x, y\n    1..3\n    ok 1 x\n";

        let expected = format!(
            "{guest}    not ok 2 y # ERROR the run ended before it did\n    \
             ok 3 case_3 {SKIP}\nnot ok 1 a\nok 2 b {SKIP}\nok 3 program_3 {SKIP}\n"
        );
        assert_eq!(closed(guest, &[]), expected);
    }

    #[test]
    fn program_that_was_cut_off_before_its_plan_gets_one() {
        let guest = "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: a\n    # half a li";

        let expected = format!(
            "{guest}\n    1..1\n    not ok 1 start # ERROR the run ended before it did\nnot ok 1 a\n"
        );
        assert_eq!(closed(guest, &[]), expected);
    }

    #[test]
    fn program_whose_cases_had_all_ended_is_skipped() {
        let guest = "KTAP version 1\n1..1\n    # Subtest: a\n    1..1\n    ok 1 x\n";

        let end = "    ok 1 x\nok 1 a # SKIP the run ended before it did\n";
        assert!(closed(guest, &[]).ends_with(end));
    }

    #[test]
    fn failed_case_of_a_program_that_was_cut_off_fails_the_program() {
        let guest = "KTAP version 1\n1..1\n    # Subtest: a\n    1..1\n    not ok 1 x\n";

        assert!(closed(guest, &[]).ends_with("\nnot ok 1 a\n"));
    }

    #[test]
    fn run_without_any_result_has_the_machine_alone() {
        let setup = failure("setup");

        assert!(closed("", &[&setup])
            .starts_with("KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: machine\n"));
        assert!(closed("Bail out! no module\n", &[&setup])
            .starts_with("KTAP version 1\nBail out! no module\n1..1\n"));
    }

    #[test]
    fn plan_of_a_broken_guest_makes_a_bounded_end() {
        let lines = closed("KTAP version 1\n1..18446744073709551615\n", &[]);

        assert_eq!(lines.lines().count(), 10_002);
    }
}
