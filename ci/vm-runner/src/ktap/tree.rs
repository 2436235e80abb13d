// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tree of results, built from the lines of a KTAP stream.

use std::time::Duration;

use super::line::{self, DirectiveKind, Kind, ResultLine};
use crate::restart::Place;

/// Diagnostics kept per test. The log has the others. Without a limit a broken guest could fill the
/// memory.
const MAX_DIAGNOSTICS: usize = 100;

/// Largest plan whose missing results are counted, and most names that are kept.
pub(super) const MAX_PLAN: usize = 10_000;

/// Outcome of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// `ok`.
    Passed,
    /// `not ok`.
    Failed,
    /// It ended its program, or could not end: `# ERROR` or `# TIMEOUT`.
    Crashed,
    /// Skipped, or known to fail.
    Skipped,
    /// Started, but without a result.
    Unfinished,
}

impl Outcome {
    /// Returns whether the test failed, in either way.
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Crashed)
    }
}

/// A program, a case, or a group of cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Test {
    /// Name.
    pub(crate) name: String,
    /// Number in the stream.
    pub(crate) number: Option<u64>,
    /// Outcome.
    pub(crate) outcome: Outcome,
    /// Reason in the directive.
    pub(crate) reason: String,
    /// Number of parts in its plan.
    pub(crate) planned: Option<u64>,
    /// Names of the parts in its plan, as far as they were announced.
    pub(crate) names: Vec<String>,
    /// Parts, in order.
    pub(crate) parts: Vec<Test>,
    /// Other lines before its result.
    pub(crate) diagnostics: Vec<String>,
    /// Time from its beginning to its result, by their arrival. A case begins with the result
    /// before it, the first one with its program.
    pub(crate) duration: Duration,
}

impl Test {
    /// Calls `visit` for each test without parts. The name passed is a path below this test.
    ///
    /// A test without parts is its own case.
    pub(crate) fn for_each_case<'a>(&'a self, visit: &mut dyn FnMut(String, &'a Test)) {
        if self.parts.is_empty() {
            visit(self.name.clone(), self);
        }
        for part in &self.parts {
            part.for_each_case(&mut |path, case| {
                let path = if part.parts.is_empty() {
                    path
                } else {
                    format!("{}/{path}", part.name)
                };
                visit(path, case);
            });
        }
    }
}

/// Change that a line caused, for the screen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The guest reported a property of the machine: `# kernel: Linux 7.3`.
    Fact(String, String),
    /// A program started.
    Started(String),
    /// A case of the running program ended.
    Case,
    /// A program ended.
    Ended(Test),
    /// The guest gave up.
    BailedOut(String),
}

/// Content of a whole stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Results {
    /// Time of the first line.
    pub(crate) began: Option<Duration>,
    /// Facts in the order of their arrival.
    pub(crate) facts: Vec<(String, String)>,
    /// Number of programs in the plan.
    pub(crate) planned: Option<u64>,
    /// Names of the programs in the plan, as far as they were announced.
    pub(crate) names: Vec<String>,
    /// Programs. The last one may be unfinished.
    pub(crate) programs: Vec<Test>,
    /// Reason for which the guest gave up.
    pub(crate) bail_out: Option<String>,
}

/// Results of one depth that still wait for their own result line.
#[derive(Debug, Default)]
struct Level {
    indent: usize,
    planned: Option<u64>,
    names: Vec<String>,
    tests: Vec<Test>,
    diagnostics: Vec<String>,
}

/// Builder of the tree.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    root: Level,
    inner: Vec<Level>,
    facts: Vec<(String, String)>,
    bail_out: Option<String>,
    running: Option<String>,
    /// Time of the first line.
    first: Option<Duration>,
    /// Time at which the running program started.
    began: Duration,
    /// Time of the last result, or of the start of the program after it.
    last: Duration,
}

impl Stream {
    /// Takes a line that arrived at `now`. Times count from any fixed moment.
    pub(crate) fn line(&mut self, text: &str, now: Duration) -> Option<Progress> {
        let line = line::parse(text);
        self.first.get_or_insert(now);
        match line.kind {
            Kind::Version => {
                self.level(line.indent);
                None
            }
            Kind::Plan(count) => {
                self.level(line.indent).planned = Some(count);
                None
            }
            Kind::Subtest(name) => self.subtest(line.indent, name, now),
            Kind::Result(result) => self.result(line.indent, &result, now),
            Kind::BailOut(reason) => {
                self.bail_out.get_or_insert_with(|| reason.to_owned());
                Some(Progress::BailedOut(reason.to_owned()))
            }
            Kind::Comment(text) => self.comment(line.indent, text),
            Kind::Other("") => None,
            Kind::Other(text) => {
                self.diagnostic(text);
                None
            }
        }
    }

    /// Returns the running program and the number of its results so far.
    pub(crate) fn running(&self) -> Option<(&str, usize)> {
        let results = self.inner.iter().map(|level| level.tests.len()).sum();
        self.running.as_deref().map(|name| (name, results))
    }

    /// Returns where the results stand: programs that have ended, and results of the running one.
    pub(crate) fn place(&self) -> Place {
        let cases = || self.inner.iter().flat_map(|level| &level.tests);
        Place {
            programs: self.root.tests.len(),
            results: cases().count(),
            failures: cases().filter(|case| case.outcome.is_failure()).count(),
        }
    }

    /// Returns the name of the running case, if the program announced it, and its begin. Returns
    /// `None` between programs.
    pub(crate) fn case(&self) -> Option<(Option<&str>, Duration)> {
        self.running.as_ref()?;
        let level = self.inner.first();
        let name = level.and_then(|level| level.names.get(level.tests.len()));
        Some((name.map(String::as_str), self.last))
    }

    /// Returns the program that ended last.
    pub(crate) fn ended(&self) -> Option<&str> {
        self.root.tests.last().map(|test| test.name.as_str())
    }

    /// Returns whether all planned programs have ended.
    pub(crate) fn is_complete(&self) -> bool {
        let ended = u64::try_from(self.root.tests.len()).ok();
        ended.is_some() && ended == self.root.planned
    }

    /// Ends the stream. A program without a result becomes an unfinished one.
    pub(crate) fn finish(mut self, now: Duration) -> Results {
        let name = self.running.take();
        if name.is_some() || !self.inner.is_empty() {
            let parts = self.take_parts(0);
            self.root.tests.push(Test {
                name: name.unwrap_or_default(),
                number: None,
                outcome: Outcome::Unfinished,
                reason: String::new(),
                planned: parts.planned,
                names: parts.names,
                parts: parts.tests,
                diagnostics: parts.diagnostics,
                duration: now.saturating_sub(self.began),
            });
        }
        Results {
            began: self.first,
            facts: self.facts,
            planned: self.root.planned,
            names: self.root.names,
            programs: self.root.tests,
            bail_out: self.bail_out,
        }
    }

    /// Returns the level of this indentation, and creates it if needed. Deeper levels stay open.
    fn level(&mut self, indent: usize) -> &mut Level {
        if indent == 0 {
            return &mut self.root;
        }
        let place = self.inner.partition_point(|level| level.indent < indent);
        let exists = self.inner.get(place).is_some_and(|l| l.indent == indent);
        if !exists {
            let level = Level {
                indent,
                ..Level::default()
            };
            self.inner.insert(place, level);
        }
        self.inner.get_mut(place).unwrap_or(&mut self.root)
    }

    /// Closes all levels deeper than `indent`. They are the parts of one test.
    ///
    /// A level without a result of its own joins the next one. Otherwise its failures would be
    /// lost.
    fn take_parts(&mut self, indent: usize) -> Level {
        let place = self.inner.partition_point(|level| level.indent <= indent);
        let mut levels = self.inner.split_off(place).into_iter();
        let mut parts = levels.next().unwrap_or_default();
        for level in levels {
            parts.tests.extend(level.tests);
            parts.diagnostics.extend(level.diagnostics);
        }
        parts
    }

    /// Starts a program. Deeper subtests count as its cases.
    fn subtest(&mut self, indent: usize, name: &str, now: Duration) -> Option<Progress> {
        let first = self.running.is_none();
        if !first && indent > 0 {
            return None;
        }
        self.running = Some(name.to_owned());
        self.began = now;
        self.last = now;
        Some(Progress::Started(name.to_owned()))
    }

    /// Closes a test with its result line.
    fn result(&mut self, indent: usize, line: &ResultLine<'_>, now: Duration) -> Option<Progress> {
        let parts = self.take_parts(indent);
        let level = self.level(indent);
        let mut diagnostics = std::mem::take(&mut level.diagnostics);
        diagnostics.extend(parts.diagnostics);
        let times = parts.tests.iter().map(|part| part.duration);
        let since_last = now.saturating_sub(self.last);
        let duration = times.fold(since_last, Duration::saturating_add);
        self.last = now;
        let mut test = Test {
            name: line.name.to_owned(),
            number: line.number,
            outcome: outcome(line),
            reason: line.directive.as_ref().map_or("", |d| d.reason).to_owned(),
            planned: parts.planned,
            names: parts.names,
            parts: parts.tests,
            diagnostics,
            duration,
        };
        if indent > 0 {
            self.level(indent).tests.push(test);
            return Some(Progress::Case);
        }
        test.duration = now.saturating_sub(self.began);
        self.began = now;
        self.running = None;
        self.root.tests.push(test.clone());
        Some(Progress::Ended(test))
    }

    /// Takes a comment: announced names, a fact before the first program, otherwise a diagnostic.
    fn comment(&mut self, indent: usize, text: &str) -> Option<Progress> {
        if self.announcement(indent, text) {
            return None;
        }
        let before_programs =
            self.running.is_none() && self.inner.is_empty() && self.root.tests.is_empty();
        let fact = text.split_once(": ").filter(|(key, _)| {
            indent == 0 && before_programs && key.chars().all(|c| c.is_ascii_lowercase())
        });
        let Some((key, value)) = fact else {
            self.diagnostic(text);
            return None;
        };
        let fact = (key.to_owned(), value.trim().to_owned());
        self.facts.push(fact.clone());
        Some(Progress::Fact(fact.0, fact.1))
    }

    /// Takes the names of planned programs or cases, before their plan. Returns whether the comment
    /// is such a line.
    fn announcement(&mut self, indent: usize, text: &str) -> bool {
        let word = match indent {
            0 => "programs: ",
            _ => "cases: ",
        };
        let Some(names) = text.strip_prefix(word) else {
            return false;
        };
        let level = self.level(indent);
        let is_first = level.names.is_empty() && level.planned.is_none() && level.tests.is_empty();
        if is_first {
            let names = names.split(", ").take(MAX_PLAN);
            level.names = names.map(|name| name.trim().to_owned()).collect();
        }
        is_first
    }

    /// Keeps a line for the next result of the innermost level.
    fn diagnostic(&mut self, text: &str) {
        let level = self.inner.last_mut().unwrap_or(&mut self.root);
        if level.diagnostics.len() < MAX_DIAGNOSTICS {
            level.diagnostics.push(text.to_owned());
        }
    }
}

/// Returns the outcome of a result line. `not ok` is a failure unless a directive announced it.
fn outcome(line: &ResultLine<'_>) -> Outcome {
    match (line.ok, line.directive.as_ref().map(|d| d.kind)) {
        (_, Some(DirectiveKind::Timeout | DirectiveKind::Error)) => Outcome::Crashed,
        (_, Some(DirectiveKind::Todo | DirectiveKind::ExpectedFailure)) => Outcome::Skipped,
        (true, Some(DirectiveKind::Skip)) => Outcome::Skipped,
        (false, _) => Outcome::Failed,
        (true, None) => Outcome::Passed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Parses lines that arrive one second apart.
    fn read(text: &str) -> Results {
        let mut stream = Stream::default();
        let mut now = 0;
        for line in text.lines() {
            now += 1;
            stream.line(line, Duration::from_secs(now));
        }
        stream.finish(Duration::from_secs(now))
    }

    fn names(tests: &[Test]) -> Vec<&str> {
        tests.iter().map(|test| test.name.as_str()).collect()
    }

    const TWO_PROGRAMS: &str = "KTAP version 1\r
# kernel: Linux 7.3.4+deb13-amd64\r
# device: 0000:01:00.0 1af4:10f0, interface 1.0\r
1..2\r
    KTAP version 1\r
    # Subtest: poke\r
    1..3\r
    ok 1 ident_reads_magic\r
    # expected 1, got 2\r
    not ok 2 scratch_keeps_value\r
    ok 3 foo # SKIP no reason\r
not ok 1 poke\r
  KTAP version 1\r
  # Subtest: dma\r
  1..1\r
  ok 1 pattern_is_seen\r
ok 2 dma\r
";

    #[test]
    fn stream_begins_with_its_first_line() {
        let mut stream = Stream::default();
        for second in [3, 4] {
            stream.line("KTAP version 1", Duration::from_secs(second));
        }

        let results = stream.finish(Duration::from_secs(5));

        assert_eq!(results.began, Some(Duration::from_secs(3)));
    }

    #[test]
    fn programs_come_in_order_with_their_cases() {
        let results = read(TWO_PROGRAMS);

        assert_eq!(names(&results.programs), ["poke", "dma"]);
        assert_eq!(
            names(&results.programs[0].parts),
            ["ident_reads_magic", "scratch_keeps_value", "foo"]
        );
    }

    #[test]
    fn plans_belong_to_their_levels() {
        let results = read(TWO_PROGRAMS);

        assert_eq!(results.planned, Some(2));
        assert_eq!(results.programs[0].planned, Some(3));
        assert_eq!(results.programs[1].planned, Some(1));
    }

    #[test]
    fn outcomes_are_distinguished() {
        let results = read(TWO_PROGRAMS);

        let outcomes: Vec<_> = results.programs[0]
            .parts
            .iter()
            .map(|case| case.outcome)
            .collect();
        assert_eq!(
            outcomes,
            [Outcome::Passed, Outcome::Failed, Outcome::Skipped]
        );
    }

    #[test]
    fn diagnostics_belong_to_the_result_that_follows() {
        let results = read(TWO_PROGRAMS);

        assert!(results.programs[0].parts[0].diagnostics.is_empty());
        assert_eq!(
            results.programs[0].parts[1].diagnostics,
            ["expected 1, got 2"]
        );
    }

    #[test]
    fn facts_stand_before_the_programs() {
        let results = read(TWO_PROGRAMS);

        assert_eq!(
            results.facts[0],
            ("kernel".into(), "Linux 7.3.4+deb13-amd64".into())
        );
        assert_eq!(results.facts.len(), 2);
    }

    #[test]
    fn program_takes_from_its_subtest_line_to_its_result() {
        let results = read(TWO_PROGRAMS);

        assert_eq!(results.programs[0].duration, Duration::from_secs(6));
    }

    #[test]
    fn case_takes_from_the_result_before_it_to_its_own() {
        let results = read(TWO_PROGRAMS);

        let seconds = |test: &Test| {
            test.parts
                .iter()
                .map(|part| part.duration.as_secs())
                .collect()
        };
        let all: Vec<Vec<u64>> = results.programs.iter().map(seconds).collect();
        assert_eq!(all, [vec![2, 2, 1], vec![2]]);
    }

    #[test]
    fn group_takes_as_long_as_its_cases_and_its_own_line() {
        let results =
            read("1..1\n# Subtest: p\n 1..1\n  1..2\n  ok 1 a\n  ok 2 b\n ok 1 g\nok 1 p\n");

        assert_eq!(
            results.programs[0].parts[0].duration,
            Duration::from_secs(5)
        );
    }

    #[test]
    fn earlier_form_with_the_subtest_line_outside_is_read_alike() {
        let read = |header| read(&format!("1..1\n{header}\n    1..1\n    ok 1 a\nok 1 p\n"));

        let (old, new) = (
            read("# Subtest: p\n    KTAP version 1"),
            read("    KTAP version 1\n    # Subtest: p"),
        );

        assert_eq!(names(&old.programs), names(&new.programs));
        assert_eq!(names(&old.programs[0].parts), names(&new.programs[0].parts));
    }

    #[test]
    fn program_without_a_result_is_unfinished() {
        let results = read("1..2\n# Subtest: dma\n    1..3\n    ok 1 a\n");

        assert_eq!(results.programs[0].name, "dma");
        assert_eq!(results.programs[0].outcome, Outcome::Unfinished);
        assert_eq!(results.programs[0].planned, Some(3));
        assert_eq!(names(&results.programs[0].parts), ["a"]);
    }

    #[test]
    fn deeper_levels_become_parts_of_parts() {
        let results = read("1..1\n  1..1\n    1..2\n    ok 1 a\n    ok 2 b\n  ok 1 g\nok 1 p\n");

        let mut cases = Vec::new();
        results.programs[0].for_each_case(&mut |path, _| cases.push(path));
        assert_eq!(cases, ["g/a", "g/b"]);
    }

    #[test]
    fn failure_in_a_level_that_nothing_closed_is_kept() {
        let results = read("1..1\n  ok 1 a\n      not ok 1 b\nok 1 p\n");

        assert_eq!(names(&results.programs[0].parts), ["a", "b"]);
    }

    #[test]
    fn program_without_cases_is_its_own_case() {
        let results = read("1..1\nok 1 p\n");

        let mut cases = Vec::new();
        results.programs[0].for_each_case(&mut |path, _| cases.push(path));
        assert_eq!(cases, ["p"]);
    }

    #[test]
    fn bail_out_keeps_the_first_reason() {
        let results = read("KTAP version 1\nBail out! no module\nBail out! again\n");

        assert_eq!(results.bail_out.as_deref(), Some("no module"));
    }

    #[test]
    fn expected_failure_counts_as_skipped() {
        let results = read("1..2\nnot ok 1 a # TODO later\nnot ok 2 b # XFAIL\n");

        assert_eq!(results.programs[0].outcome, Outcome::Skipped);
        assert_eq!(results.programs[0].reason, "later");
        assert_eq!(results.programs[1].outcome, Outcome::Skipped);
    }

    #[test]
    fn skipping_does_not_hide_a_failure() {
        let results = read("1..2\nnot ok 1 a # SKIP\nok 2 b # TIMEOUT\n");

        assert_eq!(results.programs[0].outcome, Outcome::Failed);
        assert_eq!(results.programs[1].outcome, Outcome::Crashed);
    }

    #[test]
    fn case_that_ended_its_program_has_crashed_for_a_reason() {
        let results = read("1..1\n 1..1\n not ok 1 a # ERROR killed by signal 11\nnot ok 1 p\n");

        let case = &results.programs[0].parts[0];
        assert_eq!(case.outcome, Outcome::Crashed);
        assert_eq!(case.reason, "killed by signal 11");
    }

    #[test]
    fn announced_names_are_neither_facts_nor_diagnostics() {
        let results = read(
            "# kernel: x\n# programs: a, b\n1..2\n    # Subtest: a\n    # cases: x, y\n    1..2\n    ok 1 x\n",
        );

        assert_eq!(results.names, ["a", "b"]);
        assert_eq!(results.facts, [("kernel".to_owned(), "x".to_owned())]);
        assert_eq!(results.programs[0].names, ["x", "y"]);
        assert_eq!(results.programs[0].parts[0].diagnostics, [""; 0]);
    }

    #[test]
    fn running_case_has_its_announced_name_and_its_begin() {
        let mut stream = Stream::default();
        let mut seen = Vec::new();
        let lines = [
            "# Subtest: dma",
            "    # cases: x, y",
            "    1..2",
            "    # round 1",
            "    ok 1 x",
            "    ok 2 y",
            "ok 1 dma",
        ];
        for (line, second) in lines.iter().zip(1..) {
            stream.line(line, Duration::from_secs(second));
            let case = stream.case();
            seen.push(case.map(|(name, began)| (name.map(str::to_owned), began.as_secs())));
        }

        let named = |name: &str, began| Some((Some(name.to_owned()), began));
        assert_eq!(
            seen,
            [
                Some((None, 1)),
                named("x", 1),
                named("x", 1),
                named("x", 1),
                named("y", 5),
                Some((None, 6)),
                None
            ]
        );
    }

    #[test]
    fn names_after_the_plan_are_a_diagnostic() {
        let results = read("1..1\n    1..1\n    # cases: x\n    ok 1 a\nok 1 p\n");

        assert_eq!(results.programs[0].names, [""; 0]);
        assert_eq!(results.programs[0].parts[0].diagnostics, ["cases: x"]);
    }

    #[test]
    fn running_program_is_known_with_its_results() {
        let mut stream = Stream::default();
        stream.line("# Subtest: dma", Duration::ZERO);
        stream.line("    ok 1 a", Duration::ZERO);

        assert_eq!(stream.running(), Some(("dma", 1)));
    }

    #[test]
    fn diagnostics_are_bounded() {
        let text = format!("{}not ok 1 a\n", "# x\n".repeat(5000));

        let results = read(&format!("# Subtest: a\n{text}"));

        assert_eq!(results.programs[0].diagnostics.len(), MAX_DIAGNOSTICS);
    }

    /// Returns lines that are likely to occur together in a broken stream.
    fn any_line() -> impl Strategy<Value = String> {
        let body = prop_oneof![
            Just("KTAP version 1".to_owned()),
            Just("1..3".to_owned()),
            Just("# Subtest: x".to_owned()),
            Just("# note".to_owned()),
            Just("ok 1 a".to_owned()),
            Just("not ok 2 failing".to_owned()),
            Just("Bail out!".to_owned()),
            any::<String>(),
        ];
        (0usize..80, body).prop_map(|(indent, body)| format!("{}{body}", " ".repeat(indent)))
    }

    fn failed_cases(results: &Results) -> usize {
        fn count(test: &Test) -> usize {
            usize::from(test.name == "failing") + test.parts.iter().map(count).sum::<usize>()
        }
        results.programs.iter().map(count).sum()
    }

    proptest! {
        #[test]
        fn any_lines_make_a_tree_that_loses_no_failure(
            lines in proptest::collection::vec(any_line(), 0..60),
        ) {
            let failing = lines.iter().filter(|l| l.trim() == "not ok 2 failing").count();

            let results = read(&lines.join("\n"));

            prop_assert_eq!(failed_cases(&results), failing);
        }
    }
}
