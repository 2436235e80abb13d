// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Uses the interface of version 0.1 as crates elsewhere may. A change that breaks them does not
//! compile here. A new item gets a line; a line is changed only with the second number of the
//! version.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use ringbar_conformance::case::{Basis, Case, Group, Progress};
use ringbar_conformance::cases;
use ringbar_conformance::judge::{Judge, Selected, Usage, Verdict};
use ringbar_conformance::outcome::{Outcome, Stop};
use ringbar_conformance::report::{CaseReport, Report, Status};
use ringbar_conformance::target::{ServerCommand, Target};

#[test]
fn functions_keep_their_signatures() {
    type Names = (Vec<String>, BTreeSet<String>);
    let _: fn(&[Group], &[String]) -> Vec<Selected> = cases::select;
    let _: fn(PathBuf, Duration, Option<ServerCommand>) -> Target = Target::new;
    let _: fn(Target, u64, u64) -> Outcome<Judge> = Judge::new;
    let _: fn(&mut Judge, Selected, &Progress<'_>) -> Verdict = Judge::run;
    let _: fn(&mut Judge, &[Selected]) -> Names = Judge::run_all;
    let _: fn(&Judge) -> usize = Judge::starts;
    let _: fn(&mut Judge) -> Result<Option<Usage>, Stop> = Judge::usage;
    let _: fn(&Selected) -> String = Selected::name;
    let _: fn(u64) -> Report = Report::new;
    let _: fn(&mut Report, &Verdict) -> String = Report::add;
    let _: fn(&Report) -> String = Report::summary;
    let _: fn(Group) -> &'static str = Group::name;
    let _: fn(Basis) -> &'static str = Basis::name;
    let log: Option<File> = None;
    let line = String::new();
    assert!(ServerCommand { line, log }.line.is_empty());
}

#[test]
fn results_keep_their_fields() {
    let _: fn(Selected) -> (Group, &'static Case) = |it| (it.group, it.case);
    let _: fn(&Case) -> (&'static str, Basis) = |it| (it.name, it.basis);
    let _: fn(Verdict) -> (Selected, Outcome) = |it| (it.selected, it.outcome);
    let _: fn(Usage) -> (usize, u64) = |it| (it.open_files, it.peak_memory);
    let _: fn(&Report) -> [usize; 3] = |it| [it.passed, it.failed, it.skipped];
    let _: fn(Report) -> (u64, Vec<CaseReport>) = |it| (it.seed, it.cases);
    let _: fn(CaseReport) -> (String, Group, Basis) = |it| (it.name, it.group, it.basis);
    let _: fn(CaseReport) -> (Status, Option<String>) = |it| (it.status, it.reason);
    // All of them: a case may end in each of these ways.
    match Stop::Failed(String::new()) {
        Stop::Failed(reason) | Stop::Skipped(reason) => drop::<String>(reason),
    }
    match Status::Passed {
        Status::Passed | Status::Failed | Status::Skipped => {}
    }
    assert_eq!(Group::ALL.len(), 13);
    assert_eq!([Basis::Spec, Basis::Qemu, Basis::Strict].len(), 3);
}
