// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The kernel's own selftests as cases: one case for each of theirs.
//!
//! A program of theirs that uses `kselftest_harness.h` lists its cases by `-l`, and runs one of them by
//! `-r`. A case that cannot pass here has a row in `guest-driver/selftests/README.md`. It is then skipped
//! with the reason of that row, and fails if it passes all the same. One whose reason says so is not run.

use crate::cases::{Case, Skip};
use crate::{has_iommu, on_debug_kernel, parameter, PciFunction};
use std::path::PathBuf;
use std::process::{Command, Output};

/// Folder of their programs in the guest. `ci/selftests.sh` has the files.
pub const FOLDER: &str = "/selftests";
/// Text with the rows of cases that cannot pass.
const README: &str = include_str!("../../../guest-driver/selftests/README.md");
/// Begin of the heading of the table with these rows.
const HEADING: &str = "| program | cases | where |";
/// Begin of the reason of a case that is not run.
const NOT_RUN: &str = "not run: ";
/// Exit status of a program that runs nothing here (`KSFT_SKIP`).
const SKIPPED: i32 = 4;
/// First word of the list of cases.
const LIST: &str = "# FIXTURE";
/// Columns before the second word of a line in that list.
const INDENT: usize = 21;

/// A program of the kernel's selftests.
#[derive(Clone, Debug)]
pub struct Selftest {
    name: &'static str,
    path: PathBuf,
    words: Vec<String>,
}

/// How a program, or one of its cases, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    /// With its reason.
    Skipped(String),
    /// With what it said last.
    Failed(String),
}

/// Returns what the table calls this run: the kernel, the interrupts of the device under test, whether
/// there is an IOMMU, and whether all is done in full. The driver must be bound.
pub fn machine() -> [&'static str; 4] {
    let choose = |is: bool, [yes, no]: [&'static str; 2]| if is { yes } else { no };
    [
        choose(on_debug_kernel(), ["debug", "stock"]),
        choose(PciFunction::under_test().has_msix(), ["MSI-X", "MSI"]),
        choose(has_iommu(), ["IOMMU", "no IOMMU"]),
        choose(parameter::count(1, 0) == 1, ["full", "not full"]),
    ]
}

impl Selftest {
    /// Returns the program with these words behind its options. Returns `None` if the guest lacks it.
    pub fn find(name: &'static str, words: Vec<String>) -> Option<Self> {
        let path = PathBuf::from(FOLDER).join(name);
        path.exists().then_some(Self { name, path, words })
    }

    /// Returns a case for each case of the program, with `label` before its name. Returns a single
    /// case, named `label`, if the program runs nothing here. `machine` is what the table calls this one.
    pub fn cases(&self, label: &str, machine: &[&str]) -> Vec<Case> {
        let listed = self.start(&["-l"]);
        let text = String::from_utf8_lossy(&listed.stderr);
        if let Some((_, list)) = text.split_once(LIST) {
            let case = |name: String| {
                let (test, full) = (self.clone(), format!("{label}: {name}"));
                let reason = reason(README, self.name, &full, machine);
                Case::new(full, move || match reason {
                    Some(reason) if reason.starts_with(NOT_RUN) => Err(Skip(reason.into())),
                    reason => verdict(test.run(&name), reason),
                })
            };
            return names(list).into_iter().map(case).collect();
        }
        let outcome = refusal(&listed);
        let reason = reason(README, self.name, label, machine);
        vec![Case::new(label.to_owned(), move || {
            verdict(outcome, reason)
        })]
    }

    /// Runs one case. Its output becomes diagnostics.
    fn run(&self, name: &str) -> Outcome {
        let output = self.start(&["-r", name]);
        for line in lines(&output) {
            println!("# {line}");
        }
        match result(&lines(&output)) {
            Some(outcome) => outcome,
            None => refusal(&output),
        }
    }

    fn start(&self, options: &[&str]) -> Output {
        let mut command = Command::new(&self.path);
        let output = command.args(options).args(&self.words).output();
        output.expect("the selftest can be started")
    }
}

/// Returns all that a program printed.
fn lines(output: &Output) -> Vec<String> {
    let texts = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let lines = texts.iter().flat_map(|text| text.lines());
    lines.map(str::to_owned).collect()
}

/// Returns the outcome of a program that ended without a result: it skipped itself, or died.
fn refusal(output: &Output) -> Outcome {
    let lines = lines(output);
    let skip = lines.iter().find_map(|line| line.split_once("# SKIP "));
    let last = lines.iter().rev().find(|line| !line.trim().is_empty());
    match (output.status.code(), skip, last) {
        (Some(SKIPPED), Some((_, reason)), _) => Outcome::Skipped(reason.trim().to_owned()),
        (Some(SKIPPED), None, Some(last)) => Outcome::Skipped(last.trim().to_owned()),
        (_, _, Some(last)) => Outcome::Failed(format!("{}: {}", output.status, last.trim())),
        (_, _, None) => Outcome::Failed(output.status.to_string()),
    }
}

/// Returns the outcome of the only case that ran, from its line of TAP.
fn result(lines: &[String]) -> Option<Outcome> {
    lines.iter().find_map(|line| {
        if line.starts_with("not ok 1 ") {
            return Some(Outcome::Failed(line.clone()));
        }
        let rest = line.strip_prefix("ok 1 ")?;
        Some(match rest.split_once("# SKIP") {
            Some((_, reason)) => Outcome::Skipped(reason.trim().to_owned()),
            None => Outcome::Passed,
        })
    })
}

/// Compares an outcome with the row of the table, if there is one.
fn verdict(outcome: Outcome, reason: Option<String>) -> Result<(), Skip> {
    match (outcome, reason) {
        (Outcome::Passed, None) => Ok(()),
        (Outcome::Passed, Some(reason)) => panic!(
            "it passes, but guest-driver/selftests/README.md says that it cannot: {reason}: take its row out"
        ),
        (_, Some(reason)) => Err(Skip(reason.into())),
        (Outcome::Skipped(why) | Outcome::Failed(why), None) => {
            panic!("{why}; if it cannot pass here, guest-driver/selftests/README.md needs a row with the reason")
        }
    }
}

/// Returns the reason of the first row of the table in `text` for a case of a program on a machine. In
/// a row, `all` stands for each of them; for cases there is otherwise a part of their names.
fn reason(text: &str, program: &str, case: &str, machine: &[&str]) -> Option<String> {
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with(HEADING))
        .skip(2);
    let rows = rows.map_while(|line| line.strip_prefix("| "));
    rows.filter_map(|row| {
        let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`'));
        Some([cells.next()?, cells.next()?, cells.next()?, cells.next()?])
    })
    .find(|[of, part, on, _]| {
        let fits = |cell: &str, is: bool| cell == "all" || is;
        fits(of, *of == program)
            && fits(part, case.contains(part))
            && fits(on, machine.contains(on))
    })
    .map(|[.., reason]| reason.to_owned())
}

/// Returns the names of the cases in a list of the harness. For each fixture it has a column of variants
/// and a column of tests; each variant runs each test.
fn names(list: &str) -> Vec<String> {
    let mut fixtures: Vec<(String, Vec<String>, Vec<String>)> = Vec::new();
    for line in list.lines().skip(1).filter(|line| !line.starts_with("---")) {
        let mut words = line.split_whitespace().map(str::to_owned);
        let rest = line.get(INDENT..).unwrap_or_default();
        if !line.starts_with(' ') {
            let Some(fixture) = words.next() else {
                continue;
            };
            fixtures.push((fixture, Vec::new(), Vec::new()));
        }
        let Some((_, variants, tests)) = fixtures.last_mut() else {
            continue;
        };
        match (words.next(), words.next()) {
            (Some(variant), Some(test)) => {
                variants.push(variant);
                tests.push(test);
            }
            (Some(variant), None) if line.starts_with(' ') && !rest.starts_with(' ') => {
                variants.push(variant);
            }
            (Some(test), None) => tests.push(test),
            (None, _) => {}
        }
    }
    let mut names = Vec::new();
    for (fixture, variants, tests) in &fixtures {
        let infixes = match variants.is_empty() {
            true => vec![String::new()],
            false => variants.iter().map(|name| format!("{name}.")).collect(),
        };
        for infix in infixes {
            names.extend(tests.iter().map(|test| format!("{fixture}.{infix}{test}")));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `vfio_dma_mapping_test -l` prints it, in part.
    const SHOWN: &str = "             VARIANT                   TEST\n\
        global                                         \n\
        ------------------------------------------------\n\
        vfio_dma_mapping_test type1_anonymous            dma_map_unmap\n\
        \x20                    type1_anonymous_hugetlb_of_two_megabytes \n\
        ------------------------------------------------\n\
        limit                iommufd                   unmap_range\n\
        \x20                                              unmap_all\n\
        ------------------------------------------------\n\
        plain                                          bind\n\
        \x20                                              attach\n";

    #[test]
    fn each_variant_runs_each_test() {
        assert_eq!(
            names(SHOWN),
            [
                "vfio_dma_mapping_test.type1_anonymous.dma_map_unmap",
                "vfio_dma_mapping_test.type1_anonymous_hugetlb_of_two_megabytes.dma_map_unmap",
                "limit.iommufd.unmap_range",
                "limit.iommufd.unmap_all",
                "plain.bind",
                "plain.attach",
            ]
        );
    }

    const TABLE: &str = "| program | cases | where | reason |\n|---|---|---|---|\n\
        | `a` | `x.` | debug | no x |\n| all | `y` | all | no y |\n\nelse\n| `a` | `z` | all | no z |\n";

    #[test]
    fn row_is_for_its_program_case_and_machine() {
        let found = |program, case, kernel| reason(TABLE, program, case, &[kernel, "MSI"]);

        assert_eq!(found("a", "a: x.1", "debug").as_deref(), Some("no x"));
        assert_eq!(found("a", "a: x.1", "stock"), None);
        assert_eq!(found("b", "b: x.1", "debug"), None);
        assert_eq!(found("b", "b: y", "stock").as_deref(), Some("no y"));
        assert_eq!(found("a", "a: z", "stock"), None);
    }

    fn tap(line: &str) -> Option<Outcome> {
        result(&["TAP version 13", "1..1", "# RUN", line].map(str::to_owned))
    }

    #[test]
    fn result_is_the_line_of_tap() {
        assert_eq!(tap("ok 1 a.b"), Some(Outcome::Passed));
        let skipped = Outcome::Skipped("no huge page".to_owned());
        assert_eq!(tap("ok 1 a.b # SKIP no huge page"), Some(skipped));
        let failed = Outcome::Failed("not ok 1 a.b".to_owned());
        assert_eq!(tap("not ok 1 a.b"), Some(failed));
        assert_eq!(tap("# Totals"), None);
    }

    #[test]
    fn case_that_cannot_pass_is_skipped_with_its_reason() {
        let failed = Outcome::Failed("no".to_owned());

        let skip = verdict(failed, Some("no groups".to_owned())).expect_err("skipped");

        assert_eq!(skip.0, "no groups");
    }

    #[test]
    #[should_panic(expected = "take its row out")]
    fn case_that_passes_in_spite_of_its_row_fails() {
        let _skip = verdict(Outcome::Passed, Some("no groups".to_owned()));
    }

    #[test]
    #[should_panic(expected = "needs a row")]
    fn case_that_skips_itself_without_a_row_fails() {
        let _skip = verdict(Outcome::Skipped("no memory".to_owned()), None);
    }

    #[test]
    fn each_row_of_the_readme_is_read() {
        let rows = README.lines().skip_while(|line| !line.starts_with(HEADING));
        let rows = rows.skip(2).take_while(|line| line.starts_with("| "));
        for row in rows {
            let cells: Vec<_> = row
                .split('|')
                .map(|it| it.trim().trim_matches('`'))
                .collect();

            let found = reason(README, cells[1], cells[2], &[cells[3]]);

            assert!(found.is_some_and(|reason| !reason.is_empty()), "{row}");
        }
    }
}
