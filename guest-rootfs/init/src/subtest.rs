// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The results of one program as a subtest, well formed whatever the program prints.
//!
//! Readers of KTAP count lines: a plan, then a result for each number of it. A program may die
//! before its plan or in the middle of a case, and may print anything. So init passes on only a
//! first plan and the next result. Other lines become diagnostics, and missing results are added.

/// Indentation of a subtest, by TAP 14.
const INDENT: &str = "    ";
/// Line by which a program names its cases, before its plan.
const CASES: &str = "# cases: ";
/// Largest plan that counts. For a larger one, a broken program would make init print for hours.
const MAX_PLAN: usize = 10_000;
/// Name of the only case of a program that ended before its plan.
const START: &str = "start";

/// Results of a program so far.
#[derive(Debug)]
pub(crate) struct Subtest {
    /// Name of the program.
    program: String,
    /// Names of the cases, if the program printed them.
    cases: Vec<String>,
    /// Number of cases, once the plan came.
    planned: Option<usize>,
    /// Number of results.
    results: usize,
    /// Whether the program goes on after a restart of the machine. Then version, names and plan were
    /// sent before.
    resumed: bool,
}

/// Part of a program's line.
enum Kind<'a> {
    Version,
    Cases(&'a str),
    Plan(usize),
    Result(usize, &'a str),
    Diagnostic,
    Other,
}

impl Subtest {
    /// Begins the subtest of a program.
    pub(crate) fn of(program: &str) -> Self {
        Self {
            program: program.to_owned(),
            cases: Vec::new(),
            planned: None,
            results: 0,
            resumed: false,
        }
    }

    /// Goes on with the subtest of a program that has so many results.
    pub(crate) fn resumed(program: &str, results: usize) -> Self {
        Self {
            results,
            resumed: true,
            ..Self::of(program)
        }
    }

    /// Returns the lines that begin it. The kernel's parser wants the version first.
    pub(crate) fn header(&self) -> Vec<String> {
        if self.resumed {
            return vec![Self::note("the machine has restarted")];
        }
        vec![
            format!("{INDENT}KTAP version 1"),
            format!("{INDENT}# Subtest: {}", self.program),
        ]
    }

    /// Returns a diagnostic line about the program.
    pub(crate) fn note(text: &str) -> String {
        format!("{INDENT}# {text}")
    }

    /// Takes a line of the program. Returns the line to send, if any.
    pub(crate) fn line(&mut self, text: &str) -> Option<String> {
        let text: String = text.trim_end().chars().map(plain).collect();
        let text = text.as_str();
        let passed = match kind(text) {
            // The header has a version line already.
            Kind::Version if self.planned.is_none() => return None,
            // The runner needs them if the run ends in this program.
            Kind::Cases(names) if self.planned.is_none() && self.cases.is_empty() => {
                self.cases = names.split(", ").map(str::to_owned).collect();
                if self.resumed {
                    return None;
                }
                true
            }
            Kind::Plan(count) if self.planned.is_none() && (1..=MAX_PLAN).contains(&count) => {
                self.planned = Some(count);
                if self.resumed {
                    return None;
                }
                true
            }
            // Readers take a result with the program's own name for the end of the program.
            Kind::Result(number, name) if self.is_next(number) && name != self.program => {
                self.results = number;
                true
            }
            Kind::Diagnostic => true,
            _ => false,
        };
        match (passed, text) {
            (true, _) => Some(format!("{INDENT}{text}")),
            (false, "") => None,
            (false, _) => Some(Self::note(text)),
        }
    }

    /// Returns the number of results that the plan still wants. `None` without a plan.
    pub(crate) fn missing(&self) -> Option<usize> {
        Some(self.planned?.saturating_sub(self.results))
    }

    /// Returns the lines for all results that did not come: the case that ran fails with `reason`,
    /// the later ones are skipped.
    pub(crate) fn close(&self, reason: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let planned = self.planned.unwrap_or_else(|| {
            let count = self.cases.len().clamp(1, MAX_PLAN);
            if !self.resumed {
                lines.push(format!("{INDENT}1..{count}"));
            }
            count
        });
        let first = self.results.saturating_add(1);
        for number in first..=planned {
            let name = self.name(number);
            lines.push(if number == first {
                format!("{INDENT}not ok {number} {name} # ERROR {reason}")
            } else {
                format!("{INDENT}ok {number} {name} # SKIP not run: the program had ended")
            });
        }
        lines
    }

    /// Returns whether a result with this number may come now.
    fn is_next(&self, number: usize) -> bool {
        number == self.results.saturating_add(1)
            && self.planned.is_some_and(|planned| number <= planned)
    }

    /// Returns the name of a case by its number, from 1 on.
    fn name(&self, number: usize) -> String {
        let known = number
            .checked_sub(1)
            .and_then(|place| self.cases.get(place));
        match (known, self.planned) {
            (Some(name), _) => name.clone(),
            (None, None) => START.to_owned(),
            (None, Some(_)) => format!("case_{number}"),
        }
    }
}

/// Returns the kind of a program's line. A line that is indented or opens a subtest of its own is
/// none of the program's results.
fn kind(text: &str) -> Kind<'_> {
    if text.starts_with("KTAP version ") {
        return Kind::Version;
    }
    if let Some(names) = text.strip_prefix(CASES) {
        return Kind::Cases(names);
    }
    if text.starts_with('#') && !text.starts_with("# Subtest") {
        return Kind::Diagnostic;
    }
    if let Some(count) = text.strip_prefix("1..").and_then(|rest| rest.parse().ok()) {
        return Kind::Plan(count);
    }
    result(text).unwrap_or(Kind::Other)
}

/// Parses a result line. The kernel's parser knows `#` only with a blank on both sides.
fn result(text: &str) -> Option<Kind<'_>> {
    let rest = text.strip_prefix("not ok ").or(text.strip_prefix("ok "))?;
    let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let (name, _) = rest.split_once(" # ").unwrap_or((rest, ""));
    let known = !name.contains('#');
    known.then_some(Kind::Result(number.parse().ok()?, name.trim()))
}

/// Replaces a character at which some readers end a line.
fn plain(character: char) -> char {
    match character {
        '\t' => character,
        '\u{2028}' | '\u{2029}' => ' ',
        _ if character.is_control() => ' ',
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the lines sent for those of a program, and the subtest after them.
    fn sent(lines: &[&str]) -> (Vec<String>, Subtest) {
        let mut subtest = Subtest::of("dma");
        let sent = lines.iter().filter_map(|line| subtest.line(line)).collect();
        (sent, subtest)
    }

    #[test]
    fn header_has_the_version_line_first_and_both_lines_indented() {
        let header = Subtest::of("dma").header();

        assert_eq!(header, ["    KTAP version 1", "    # Subtest: dma"]);
    }

    #[test]
    fn results_pass_and_the_version_line_of_the_program_does_not() {
        let program = ["KTAP version 1", "1..2", "# note", "ok 1 a", "not ok 2 b"];

        let (sent, subtest) = sent(&program);

        assert_eq!(
            sent,
            ["    1..2", "    # note", "    ok 1 a", "    not ok 2 b"]
        );
        assert_eq!(subtest.missing(), Some(0));
        assert_eq!(subtest.close("none"), [""; 0]);
    }

    #[test]
    fn program_that_dies_in_a_case_fails_it_by_name_and_skips_the_later_ones() {
        let (_, subtest) = sent(&["# cases: a, b: x, c", "1..3", "ok 1 a", "# in b"]);

        assert_eq!(subtest.missing(), Some(2));
        assert_eq!(
            subtest.close("killed by signal 11"),
            [
                "    not ok 2 b: x # ERROR killed by signal 11",
                "    ok 3 c # SKIP not run: the program had ended",
            ]
        );
    }

    #[test]
    fn names_of_the_cases_are_passed_on_once() {
        let (sent, _) = sent(&["# cases: a, b", "# cases: c", "1..2", "# cases: d"]);

        assert_eq!(
            sent,
            [
                "    # cases: a, b",
                "    # # cases: c",
                "    1..2",
                "    # # cases: d"
            ]
        );
    }

    #[test]
    fn program_that_dies_before_its_plan_gets_one() {
        let (sent, subtest) = sent(&["# there is no case `x`"]);

        assert_eq!(sent, ["    # there is no case `x`"]);
        assert_eq!(subtest.missing(), None);
        assert_eq!(
            subtest.close("ended with 1"),
            ["    1..1", "    not ok 1 start # ERROR ended with 1"]
        );
    }

    #[test]
    fn names_without_a_plan_make_the_plan() {
        let (_, subtest) = sent(&["# cases: a, b"]);

        assert_eq!(
            subtest.close("killed by signal 9"),
            [
                "    1..2",
                "    not ok 1 a # ERROR killed by signal 9",
                "    ok 2 b # SKIP not run: the program had ended",
            ]
        );
    }

    #[test]
    fn program_that_goes_on_sends_only_the_results_that_are_left() {
        let mut subtest = Subtest::resumed("dma", 1);
        let program = [
            "KTAP version 1",
            "# cases: a, b, c",
            "1..3",
            "ok 1 a",
            "ok 2 b",
        ];

        let sent: Vec<_> = program
            .iter()
            .filter_map(|line| subtest.line(line))
            .collect();

        assert_eq!(subtest.header(), ["    # the machine has restarted"]);
        assert_eq!(sent, ["    # ok 1 a", "    ok 2 b"]);
        let closed = subtest.close("ended with 1");
        assert_eq!(closed, ["    not ok 3 c # ERROR ended with 1"]);
    }

    #[test]
    fn program_that_goes_on_and_dies_at_once_gets_no_second_plan() {
        let mut subtest = Subtest::resumed("dma", 1);
        subtest.line("# cases: a, b");

        let closed = subtest.close("killed by signal 9");

        assert_eq!(closed, ["    not ok 2 b # ERROR killed by signal 9"]);
    }

    #[test]
    fn case_without_a_name_has_its_number() {
        let (_, subtest) = sent(&["1..2", "ok 1 a"]);

        assert_eq!(
            subtest.close("ended with 0"),
            ["    not ok 2 case_2 # ERROR ended with 0"]
        );
    }

    #[test]
    fn other_output_becomes_a_diagnostic() {
        let output = [
            "0x10: 00",
            "",
            "1..1",
            "1..7",
            "ok 2 b",
            "ok",
            "  ok 1 a",
            "Bail out! x",
            "# Subtest: x",
            "KTAP version 1",
            "ok 1 dma",
            "ok 1 a#b",
            "ok 1 a",
            "ok 2 b",
            "1..99999999",
            "a\u{b}ok 1 a",
        ];

        let (sent, _) = sent(&output);

        assert_eq!(
            sent,
            [
                "    # 0x10: 00",
                "    1..1",
                "    # 1..7",
                "    # ok 2 b",
                "    # ok",
                "    #   ok 1 a",
                "    # Bail out! x",
                "    # # Subtest: x",
                "    # KTAP version 1",
                "    # ok 1 dma",
                "    # ok 1 a#b",
                "    ok 1 a",
                "    # ok 2 b",
                "    # 1..99999999",
                "    # a ok 1 a",
            ]
        );
    }

    #[test]
    fn plan_beyond_the_limit_is_no_plan() {
        assert_eq!(sent(&["1..10000"]).1.missing(), Some(10_000));
        assert_eq!(sent(&["1..10001"]).1.missing(), None);
        assert_eq!(sent(&["1..0"]).1.missing(), None);
    }

    proptest! {
        #[test]
        fn any_output_gives_one_plan_and_a_result_for_each_number(
            lines in proptest::collection::vec(
                prop_oneof![
                    "(not )?ok [0-9]{1,2} [a-z]{1,3}", "1\\.\\.[0-9]{1,2}", "# cases: [a-z, ]{0,9}",
                    Just("KTAP version 1".to_owned()), any::<String>(),
                ],
                0..40,
            ),
        ) {
            let mut subtest = Subtest::of("dma");
            let mut all: Vec<_> = lines.iter().filter_map(|line| subtest.line(line)).collect();
            all.extend(subtest.close("ended"));

            let body = |line: &String| line.strip_prefix(INDENT).expect("indented").to_owned();
            let all: Vec<_> = all.iter().map(body).filter(|line| !line.starts_with('#')).collect();
            let (plan, results) = all.split_first().expect("a plan");
            let count: usize = plan.strip_prefix("1..").expect("first").parse().expect("a number");
            let number = |line: &String| {
                let rest = line.strip_prefix("not ").unwrap_or(line).strip_prefix("ok ");
                let number = rest.and_then(|rest| rest.split(' ').next()).expect("a result");
                number.parse::<usize>().expect("a number")
            };
            prop_assert_eq!(results.iter().map(number).collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>());
        }
    }
}
