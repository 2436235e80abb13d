// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Cases and programs that the end of a run cut off.
//!
//! All reports have a result for each of them. Otherwise a reader could not tell a case that did
//! not run from one that does not exist. The case that ran is an error, as in other test runners
//! whose process dies. Later ones are skipped.

use std::ops::Range;
use std::time::Duration;

use super::tree::{Outcome, Results, Test, MAX_PLAN};

/// Reason of the case that had begun.
pub(super) const BROKEN_OFF: &str = "the run ended before it did";
/// Reason of cases and programs that had not begun.
const NOT_RUN: &str = "not run: the run had ended";
/// Name of the only case of a program that had announced none, as init has it.
const START: &str = "start";

impl Results {
    /// Returns all planned programs with all their planned cases.
    pub(crate) fn whole(&self) -> Vec<Test> {
        let begun = self.programs.iter().map(Test::whole);
        begun.chain(self.not_begun()).collect()
    }

    /// Returns the programs of the plan that did not begin.
    pub(super) fn not_begun(&self) -> impl Iterator<Item = Test> + '_ {
        let planned = self.planned.unwrap_or_default();
        missing(planned, self.programs.len())
            .map(|number| not_run(name(&self.names, number, "program"), number))
    }
}

impl Test {
    /// Returns the program with its cut-off cases.
    fn whole(&self) -> Self {
        let mut whole = self.clone();
        let cut_off = self.cut_off();
        if !cut_off.is_empty() {
            // The first of these cases has them.
            whole.diagnostics.clear();
        }
        whole.parts.extend(cut_off);
        whole
    }

    /// Returns the last lines of an unfinished program. Its cut-off case has them, if there is one.
    pub(crate) fn last_lines(&self) -> &[String] {
        let is_cut_off =
            |part: &&Self| part.outcome == Outcome::Crashed && part.reason == BROKEN_OFF;
        let holder = self.parts.iter().rfind(is_cut_off).unwrap_or(self);
        &holder.diagnostics
    }

    /// Returns the cases of an unfinished program that have no result.
    pub(super) fn cut_off(&self) -> Vec<Self> {
        if self.outcome != Outcome::Unfinished {
            return Vec::new();
        }
        let came = self.parts.len();
        let planned = match (self.planned, came) {
            (Some(planned), _) => planned,
            (None, 0) => u64::try_from(self.names.len()).unwrap_or(u64::MAX).max(1),
            (None, _) => 0,
        };
        let mut numbers = missing(planned, came);
        let first = numbers.next().map(|number| self.broken_off(number));
        let later = numbers.map(|number| not_run(name(&self.names, number, "case"), number));
        first.into_iter().chain(later).collect()
    }

    /// Returns the case that had begun. It has the program's last lines and the rest of its time.
    fn broken_off(&self, number: usize) -> Self {
        let ended = self.parts.iter().map(|part| part.duration);
        let ended = ended.fold(Duration::ZERO, Duration::saturating_add);
        let name = match (self.planned, self.names.is_empty()) {
            (None, true) => START.to_owned(),
            _ => name(&self.names, number, "case"),
        };
        Self {
            outcome: Outcome::Crashed,
            reason: BROKEN_OFF.to_owned(),
            diagnostics: self.diagnostics.clone(),
            duration: self.duration.saturating_sub(ended),
            ..not_run(name, number)
        }
    }
}

/// Returns a skipped test.
fn not_run(name: String, number: usize) -> Test {
    Test {
        name,
        number: u64::try_from(number).ok(),
        outcome: Outcome::Skipped,
        reason: NOT_RUN.to_owned(),
        planned: None,
        names: Vec::new(),
        parts: Vec::new(),
        diagnostics: Vec::new(),
        duration: Duration::ZERO,
    }
}

/// Returns an announced name, or one made of `noun` and the number. The guest may announce
/// anything, and readers of KTAP take `#` for the begin of a directive.
fn name(announced: &[String], number: usize, noun: &str) -> String {
    let place = number.checked_sub(1);
    let known = place.and_then(|place| announced.get(place));
    match known.map(|name| name.replace('#', " ")) {
        Some(name) if !name.trim().is_empty() => name,
        _ => format!("{noun}_{number}"),
    }
}

/// Returns the numbers of a plan for which nothing came. A broken guest may send any plan.
fn missing(planned: u64, came: usize) -> Range<usize> {
    let planned = usize::try_from(planned).unwrap_or(MAX_PLAN).min(MAX_PLAN);
    came.saturating_add(1)..planned.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ktap::Stream;

    /// Returns all programs of a run that ends after these lines, which arrive one second apart.
    fn whole(text: &str) -> Vec<Test> {
        let mut stream = Stream::default();
        let mut now = Duration::ZERO;
        for line in text.lines() {
            now += Duration::from_secs(1);
            stream.line(line, now);
        }
        stream.finish(now + Duration::from_secs(1)).whole()
    }

    /// Returns name, outcome and reason of each test.
    fn told(tests: &[Test]) -> Vec<(&str, Outcome, &str)> {
        tests
            .iter()
            .map(|test| (test.name.as_str(), test.outcome, test.reason.as_str()))
            .collect()
    }

    const BEGUN: &str = "KTAP version 1\n# programs: a, dma, queue\n1..3\nok 1 a\n    KTAP version 1\n    \
                         # Subtest: dma\n    # cases: x, y: z, w\n    1..3\n    ok 1 x\n    # in y\n";

    #[test]
    fn case_that_ran_is_an_error_and_later_ones_are_skipped_by_name() {
        let programs = whole(BEGUN);

        assert_eq!(programs[1].outcome, Outcome::Unfinished);
        assert_eq!(
            told(&programs[1].parts),
            [
                ("x", Outcome::Passed, ""),
                ("y: z", Outcome::Crashed, BROKEN_OFF),
                ("w", Outcome::Skipped, NOT_RUN),
            ]
        );
    }

    #[test]
    fn case_that_ran_has_the_last_lines_and_the_rest_of_the_time() {
        let programs = whole(BEGUN);

        assert_eq!(programs[1].parts[1].diagnostics, ["in y"]);
        assert_eq!(programs[1].diagnostics, [""; 0]);
        assert_eq!(programs[1].parts[1].duration, Duration::from_secs(2));
    }

    #[test]
    fn programs_that_had_not_begun_are_skipped_by_name() {
        let programs = whole(BEGUN);

        assert_eq!(told(&programs[2..]), [("queue", Outcome::Skipped, NOT_RUN)]);
    }

    #[test]
    fn cases_and_programs_without_names_have_their_numbers() {
        let programs = whole("1..3\n# Subtest: a\n 1..2\n");

        assert_eq!(
            told(&programs[0].parts),
            [
                ("case_1", Outcome::Crashed, BROKEN_OFF),
                ("case_2", Outcome::Skipped, NOT_RUN),
            ]
        );
        assert_eq!(programs[2].name, "program_3");
    }

    #[test]
    fn program_that_had_announced_nothing_has_one_case() {
        let programs = whole("1..1\n# Subtest: a\n    # half a li");

        assert_eq!(
            told(&programs[0].parts),
            [("start", Outcome::Crashed, BROKEN_OFF)]
        );
    }

    #[test]
    fn names_without_a_plan_make_the_plan() {
        let programs = whole("1..1\n# Subtest: a\n    # cases: x, y\n");

        let names: Vec<_> = programs[0].parts.iter().map(|case| &case.name).collect();
        assert_eq!(names, ["x", "y"]);
    }

    #[test]
    fn finished_programs_stay_as_they_are() {
        let programs = whole("1..1\n# Subtest: a\n 1..3\n ok 1 x\nok 1 a\n");

        assert_eq!(told(&programs[0].parts), [("x", Outcome::Passed, "")]);
        assert_eq!(programs.len(), 1);
    }

    #[test]
    fn name_with_a_directive_in_it_makes_none() {
        assert_eq!(name(&["a # SKIP".to_owned()], 1, "case"), "a   SKIP");
        assert_eq!(name(&["#".to_owned()], 1, "case"), "case_1");
    }

    #[test]
    fn plan_of_a_broken_guest_makes_a_bounded_rest() {
        assert_eq!(whole("1..18446744073709551615\n").len(), MAX_PLAN);
    }
}
