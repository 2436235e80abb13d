// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `junit.xml`: the contents of `results.json`, for CI systems.

use std::time::Duration;

use quick_junit::{
    NonSuccessKind, Report as Junit, SerializeError, TestCase, TestCaseStatus, TestSuite,
};

use crate::report::{Report, ReportedFailure, ReportedTest, Run};

/// Renders a suite per program and run, and one per run for failures outside programs.
pub(crate) fn render(report: &Report) -> Result<String, SerializeError> {
    let mut junit = Junit::new("ringbar");
    for run in &report.runs {
        for program in &run.programs {
            junit.add_test_suite(program_suite(run, program));
        }
        junit.add_test_suite(machine_suite(run));
    }
    junit.to_string()
}

/// Returns the suite of a program.
fn program_suite(run: &Run, program: &ReportedTest) -> TestSuite {
    let mut suite = TestSuite::new(format!("{}/{}", run.name, program.name));
    suite.set_time(seconds(program.seconds.unwrap_or_default()));
    add_cases(&mut suite, program, "");
    suite
}

/// Adds the cases of a test to a suite. Groups become a prefix of the names.
fn add_cases(suite: &mut TestSuite, test: &ReportedTest, group: &str) {
    if test.parts.is_empty() {
        suite.add_test_case(case(test, group));
    }
    for part in &test.parts {
        let group = if part.parts.is_empty() {
            group.to_owned()
        } else {
            format!("{group}{}/", part.name)
        };
        add_cases(suite, part, &group);
    }
}

/// Returns a case with its outcome.
fn case(test: &ReportedTest, group: &str) -> TestCase {
    let mut status = match test.outcome.as_str() {
        "passed" => TestCaseStatus::success(),
        "skipped" => TestCaseStatus::skipped(),
        "unfinished" | "crashed" => TestCaseStatus::non_success(NonSuccessKind::Error),
        _ => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    if test.outcome != "passed" {
        let words = [test.outcome.as_str(), test.reason.as_str()];
        status.set_message(words.join(" ").trim_end().to_owned());
        status.set_description(test.diagnostics.join("\n"));
    }
    TestCase::new(format!("{group}{}", test.name), status)
}

/// Returns the suite of failures that are no cases: of the machine, the kernel, or whole programs.
fn machine_suite(run: &Run) -> TestSuite {
    let mut suite = TestSuite::new(format!("{}/machine", run.name));
    suite.set_time(seconds(run.seconds));
    for fact in &run.guest {
        suite.add_property((fact.key.as_str(), fact.value.as_str()));
    }
    let failures: Vec<_> = run.failures.iter().filter(|f| f.kind != "case").collect();
    if failures.is_empty() {
        suite.add_test_case(TestCase::new("run", TestCaseStatus::success()));
    }
    for failure in failures {
        suite.add_test_case(machine_failure(failure));
    }
    suite
}

/// Returns a failure as a case.
fn machine_failure(failure: &ReportedFailure) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message(failure.message.as_str());
    status.set_type(failure.kind.as_str());
    status.set_description(failure.details.join("\n"));
    TestCase::new(failure.kind.as_str(), status)
}

/// Converts seconds. A value that is no duration becomes 0.
fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::run;

    #[test]
    fn junit_is_as_expected() {
        let report = Report {
            schema: 1,
            runs: vec![run("default")],
        };

        let text = render(&report).expect("text");

        assert_eq!(text, include_str!("../tests/golden/junit.xml"));
    }
}
