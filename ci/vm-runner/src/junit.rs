// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `junit.xml`: the contents of `results.json`, for CI systems.
//!
//! A class is a program in a configuration, as `stock-msix.dma`, so class and name together are
//! unique over the files of all configurations. The elements and attributes are those that Jenkins
//! accepts; the tests below have the list.

use std::time::Duration;

use chrono::DateTime;
use quick_junit::{
    NonSuccessKind, Report as Junit, SerializeError, TestCase, TestCaseStatus, TestSuite,
};

use crate::ktap::{names, MACHINE};
use crate::report::{Report, ReportedFailure, ReportedTest, Run};

/// Renders a suite per program and run, and one per run for failures outside programs.
pub(crate) fn render(report: &Report) -> Result<String, SerializeError> {
    let mut junit = Junit::new("ringbar");
    let mut total = Duration::ZERO;
    for run in &report.runs {
        let mut began = run.booted.unwrap_or_default();
        for program in &run.programs {
            junit.add_test_suite(program_suite(run, program, began));
            began += program.seconds.unwrap_or_default();
        }
        junit.add_test_suite(machine_suite(run));
        total = total.saturating_add(seconds(run.seconds));
    }
    junit.set_time(total);
    junit.to_string().map(|text| without_skipped(&text))
}

/// Removes the number of skipped cases from the outermost element. The schema has it for suites
/// only, and a strict reader refuses the whole file.
fn without_skipped(text: &str) -> String {
    let inner = text.find("<testsuite ").unwrap_or(text.len());
    let (outer, rest) = text.split_at_checked(inner).unwrap_or((text, ""));
    let attribute = outer.split_once(" skipped=\"").and_then(|(before, after)| {
        let (_, after) = after.split_once('"')?;
        Some(format!("{before}{after}{rest}"))
    });
    attribute.unwrap_or_else(|| text.to_owned())
}

/// Returns an empty suite of a run that began so many seconds after it.
fn suite(run: &Run, name: &str, began: f64) -> TestSuite {
    let mut suite = TestSuite::new(format!("{}/{name}", run.name));
    let millis = i64::try_from(seconds(began).as_millis()).unwrap_or_default();
    let start = i64::try_from(run.began).unwrap_or_default();
    let start = start.saturating_mul(1000).saturating_add(millis);
    if let Some(start) = DateTime::from_timestamp_millis(start) {
        suite.set_timestamp(start);
    }
    let host = if run.host.is_empty() {
        "localhost"
    } else {
        &run.host
    };
    suite.extra.insert("hostname".into(), host.into());
    suite
}

/// Returns the suite of a program.
fn program_suite(run: &Run, program: &ReportedTest, began: f64) -> TestSuite {
    let mut suite = suite(run, &program.name, began);
    suite.set_time(seconds(program.seconds.unwrap_or_default()));
    let class = class(run, &program.name);
    add_cases(&mut suite, run, &class, program, "");
    suite
}

/// Returns the class of cases. Readers show what stands before the last point as a package.
fn class(run: &Run, program: &str) -> String {
    format!("{}.{program}", run.name)
}

/// Adds the cases of a test to a suite. Groups become a prefix of the names.
fn add_cases(suite: &mut TestSuite, run: &Run, class: &str, test: &ReportedTest, group: &str) {
    if test.parts.is_empty() {
        suite.add_test_case(case(run, class, test, group));
    }
    for part in &test.parts {
        let group = if part.parts.is_empty() {
            group.to_owned()
        } else {
            format!("{group}{}/", part.name)
        };
        add_cases(suite, run, class, part, &group);
    }
}

/// Returns a case with its outcome.
fn case(run: &Run, class: &str, test: &ReportedTest, group: &str) -> TestCase {
    let status = match test.outcome.as_str() {
        "passed" => TestCaseStatus::success(),
        "skipped" => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(test.reason.as_str());
            status
        }
        "unfinished" | "crashed" => failed(NonSuccessKind::Error, run, test),
        _ => failed(NonSuccessKind::Failure, run, test),
    };
    let mut case = TestCase::new(format!("{group}{}", test.name), status);
    case.set_classname(class);
    case.set_time(seconds(test.seconds.unwrap_or_default()));
    case
}

/// Returns the status of a case that failed: the reason in one line, then all that it printed.
fn failed(kind: NonSuccessKind, run: &Run, test: &ReportedTest) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(test.outcome.as_str());
    status.set_message(headline(test));
    status.set_description(explained(run, &test.diagnostics));
    status
}

/// Returns the line that tells most about a failed test: its directive's reason, the message of a
/// panic, or its last line.
fn headline(test: &ReportedTest) -> &str {
    if !test.reason.is_empty() {
        return &test.reason;
    }
    let mut lines = test.diagnostics.iter();
    let panic = lines.find(|line| line.contains("panicked at"));
    let message = panic.and_then(|_| lines.find(|line| !line.trim().is_empty()));
    let chosen = message.or(panic).or(test.diagnostics.last());
    chosen.map_or(test.outcome.as_str(), String::as_str)
}

/// Returns the lines about a failure, with the place of the logs and the command that repeats it.
fn explained(run: &Run, lines: &[String]) -> String {
    let more = [
        format!("logs: {}", run.logs.display()),
        format!("again: {}", run.again),
    ];
    let lines: Vec<&str> = lines.iter().chain(&more).map(String::as_str).collect();
    lines.join("\n")
}

/// Returns the suite of failures that are no cases: of the machine, the kernel, or whole programs.
/// Its time is that of the run without its programs.
fn machine_suite(run: &Run) -> TestSuite {
    let mut suite = suite(run, MACHINE, 0.0);
    let programs = run.programs.iter().filter_map(|program| program.seconds);
    let time = seconds(run.seconds - programs.sum::<f64>());
    suite.set_time(time);
    for fact in &run.guest {
        suite.add_property((fact.key.as_str(), fact.value.as_str()));
    }
    let failures: Vec<_> = run.failures.iter().filter(|f| f.kind != "case").collect();
    let names = names(failures.iter().map(|failure| failure.kind.as_str()));
    let cases = failures.iter().zip(names);
    let mut cases: Vec<_> = cases
        .map(|(failure, name)| TestCase::new(name, machine_failure(run, failure)))
        .collect();
    if cases.is_empty() {
        cases.push(TestCase::new("run", TestCaseStatus::success()));
    }
    let mut left = time;
    for mut case in cases {
        case.set_classname(class(run, MACHINE));
        case.set_time(std::mem::take(&mut left));
        suite.add_test_case(case);
    }
    suite
}

/// Returns the status of a failure that is no case.
fn machine_failure(run: &Run, failure: &ReportedFailure) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message(failure.message.as_str());
    status.set_type(failure.kind.as_str());
    status.set_description(explained(run, &failure.details));
    status
}

/// Converts seconds. A value that is no duration becomes 0.
fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::run;
    use quick_xml::events::{BytesStart, Event};
    use std::collections::HashSet;

    /// An element that Jenkins accepts: name, elements around it, required and other attributes.
    type Rule = (
        &'static str,
        &'static [&'static str],
        &'static [&'static str],
        &'static [&'static str],
    );

    /// The part of the schema for JUnit files in Jenkins' xUnit plugin (`junit-10.xsd`) that concerns
    /// us, in our own words.
    const RULES: [Rule; 8] = [
        (
            "testsuites",
            &[],
            &[],
            &["name", "time", "tests", "failures", "errors"],
        ),
        (
            "testsuite",
            &["testsuites"],
            &["name", "tests", "failures", "errors"],
            &[
                "time",
                "skipped",
                "timestamp",
                "hostname",
                "id",
                "package",
                "file",
                "log",
                "url",
                "group",
            ],
        ),
        ("properties", &["testsuite"], &[], &[]),
        ("property", &["properties"], &["name", "value"], &[]),
        (
            "testcase",
            &["testsuite"],
            &["name"],
            &["time", "classname", "group"],
        ),
        ("failure", &["testcase"], &[], &["type", "message"]),
        ("error", &["testcase"], &[], &["type", "message"]),
        ("skipped", &["testcase"], &[], &["type", "message"]),
    ];

    /// Returns what breaks a rule, and all pairs of class and name.
    fn check(text: &str) -> (Vec<String>, Vec<(String, String)>) {
        let mut reader = quick_xml::Reader::from_str(text);
        let (mut wrong, mut cases, mut around) = (Vec::new(), Vec::new(), Vec::<String>::new());
        loop {
            match reader.read_event().expect("well-formed XML") {
                Event::Start(element) => {
                    check_element(&element, around.last(), &mut wrong, &mut cases);
                    around.push(String::from_utf8_lossy(element.name().as_ref()).into());
                }
                Event::Empty(element) => {
                    check_element(&element, around.last(), &mut wrong, &mut cases);
                }
                Event::End(_) => drop(around.pop()),
                Event::Eof => return (wrong, cases),
                _ => (),
            }
        }
    }

    fn check_element(
        element: &BytesStart<'_>,
        around: Option<&String>,
        wrong: &mut Vec<String>,
        cases: &mut Vec<(String, String)>,
    ) {
        let name = String::from_utf8_lossy(element.name().as_ref()).into_owned();
        let Some((_, places, required, others)) = RULES.iter().find(|rule| rule.0 == name) else {
            return wrong.push(format!("element {name}"));
        };
        if !around.map_or(places.is_empty(), |place| places.contains(&place.as_str())) {
            wrong.push(format!("{name} in {around:?}"));
        }
        let mut found = Vec::new();
        for attribute in element.attributes() {
            let attribute = attribute.expect("an attribute");
            let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
            let value = String::from_utf8_lossy(&attribute.value).into_owned();
            if !required.contains(&key.as_str()) && !others.contains(&key.as_str()) {
                wrong.push(format!("{name} {key}"));
            }
            if key == "time" && value.parse::<f64>().is_err() {
                wrong.push(format!("{name} time {value}"));
            }
            found.push((key, value));
        }
        let value = |key: &str| {
            found
                .iter()
                .find(|(k, _)| k == key)
                .map(|(_, value)| value.clone())
        };
        wrong.extend(
            required
                .iter()
                .filter(|key| value(key).is_none())
                .map(|key| format!("{name} without {key}")),
        );
        // Jenkins does not want these; a person does.
        let wanted: &[&str] = match name.as_str() {
            "testsuite" => &["time", "timestamp", "hostname"],
            "testcase" => &["classname", "time"],
            "failure" | "error" | "skipped" => &["message"],
            _ => &[],
        };
        wrong.extend(
            wanted
                .iter()
                .filter(|key| value(key).is_none())
                .map(|key| format!("{name} without {key}")),
        );
        if name == "testcase" {
            cases.push((
                value("classname").unwrap_or_default(),
                value("name").unwrap_or_default(),
            ));
        }
    }

    /// Returns the file for these runs, each with two failures of one kind.
    fn rendered(names: &[&str]) -> String {
        let mut runs: Vec<_> = names.iter().map(|name| run(name)).collect();
        for run in &mut runs {
            let again = run.failures.first().expect("a failure").clone();
            run.failures.push(again);
        }
        render(&Report { schema: 1, runs }).expect("text")
    }

    #[test]
    fn junit_is_as_expected() {
        let report = Report {
            schema: 1,
            runs: vec![run("default")],
        };

        let text = render(&report).expect("text");

        assert_eq!(text, include_str!("../tests/golden/junit.xml"));
    }

    #[test]
    fn elements_and_attributes_are_those_that_jenkins_accepts() {
        let (wrong, cases) = check(&rendered(&["stock-msix", "stock-msi-iommu"]));

        assert_eq!(wrong, [""; 0]);
        assert_eq!(cases.len(), 12);
    }

    #[test]
    fn class_and_name_are_unique_over_all_configurations() {
        let (_, cases) = check(&rendered(&["stock-msix", "stock-msi-iommu"]));

        let distinct: HashSet<_> = cases.iter().collect();
        assert_eq!(distinct.len(), cases.len(), "{cases:?}");
    }

    #[test]
    fn text_of_the_guest_stays_text() {
        let mut run = run("default");
        let case = run
            .programs
            .first_mut()
            .and_then(|program| program.parts.get_mut(1));
        case.expect("a case").diagnostics = vec!["\u{1b}[31m<failure x=\"1\">]]>\0&amp;".into()];

        let text = render(&Report {
            schema: 1,
            runs: vec![run],
        })
        .expect("text");

        assert_eq!(check(&text).0, [""; 0]);
    }

    #[test]
    fn message_of_a_panic_is_the_headline() {
        let diagnostics = [
            "seed 7",
            "thread 'main' panicked at src/bin/dma.rs:7:5:",
            "the byte at 0x104 is 0",
            "note: run with RUST_BACKTRACE=1",
        ];
        let mut run = run("default");
        let case = run
            .programs
            .first_mut()
            .and_then(|program| program.parts.get_mut(1));
        let case = case.expect("a case");
        case.diagnostics = diagnostics.map(str::to_owned).to_vec();

        assert_eq!(headline(case), "the byte at 0x104 is 0");
    }
}
