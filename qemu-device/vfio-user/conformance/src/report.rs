// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Results for people and for tools.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::case::{Basis, Group};
use crate::judge::Verdict;
use crate::outcome::Stop;

/// Result of a case, without the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The rule is kept.
    Passed,
    /// The rule is broken.
    Failed,
    /// The server lacks the subject of the rule.
    Skipped,
}

/// Results of a run.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Seed of the random messages.
    pub seed: u64,
    /// Number of cases that passed.
    pub passed: usize,
    /// Number of cases that failed.
    pub failed: usize,
    /// Number of cases that were skipped.
    pub skipped: usize,
    /// One entry per case, in the order of the run.
    pub cases: Vec<CaseReport>,
}

/// A case in the report.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct CaseReport {
    /// Full name.
    pub name: String,
    /// Its group.
    pub group: Group,
    /// Source of its rule.
    pub basis: Basis,
    /// Result.
    pub status: Status,
    /// Reason, unless it passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Report {
    /// Makes a report without cases.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            passed: 0,
            failed: 0,
            skipped: 0,
            cases: Vec::new(),
        }
    }

    /// Adds a case. Returns its line of the table.
    pub fn add(&mut self, verdict: &Verdict) -> String {
        let (status, reason) = match &verdict.outcome {
            Ok(()) => (Status::Passed, None),
            Err(Stop::Failed(reason)) => (Status::Failed, Some(reason.clone())),
            Err(Stop::Skipped(reason)) => (Status::Skipped, Some(reason.clone())),
        };
        let count = match status {
            Status::Passed => &mut self.passed,
            Status::Failed => &mut self.failed,
            Status::Skipped => &mut self.skipped,
        };
        *count = count.saturating_add(1);
        let report = CaseReport {
            name: verdict.selected.name(),
            group: verdict.selected.group,
            basis: verdict.selected.case.basis,
            status,
            reason,
        };
        let line = report.line();
        self.cases.push(report);
        line
    }

    /// Returns the table by group.
    pub fn summary(&self) -> String {
        let mut text = String::from("\ngroup        passed failed skipped\n");
        for group in Group::ALL {
            let mut counts = BTreeMap::new();
            for case in self.cases.iter().filter(|case| case.group == *group) {
                *counts.entry(case.status).or_insert(0_usize) += 1;
            }
            if !counts.is_empty() {
                let count = |status| counts.get(&status).copied().unwrap_or(0);
                let _infallible = writeln!(
                    text,
                    "{:12} {:6} {:6} {:7}",
                    group.to_string(),
                    count(Status::Passed),
                    count(Status::Failed),
                    count(Status::Skipped)
                );
            }
        }
        let _infallible = writeln!(
            text,
            "{:12} {:6} {:6} {:7}   seed {}",
            "all", self.passed, self.failed, self.skipped, self.seed
        );
        text
    }
}

impl CaseReport {
    /// Returns the name and, unless the case passed, the reason.
    pub(crate) fn name_and_reason(&self) -> String {
        match &self.reason {
            None => self.name.clone(),
            Some(reason) => format!("{}: {reason}", self.name),
        }
    }

    fn line(&self) -> String {
        let word = match self.status {
            Status::Passed => "ok",
            Status::Failed => "FAIL",
            Status::Skipped => "skip",
        };
        match &self.reason {
            None => format!("{word:5}{}", self.name),
            Some(reason) => format!("{word:5}{} ({}): {reason}", self.name, self.basis.name()),
        }
    }
}
