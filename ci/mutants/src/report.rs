// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The table of all targets, the list of survivors, and the same as JSON.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::error::Error;
use crate::reasons::Reasons;
use crate::results::Verdict;
use crate::summary::Summary;

/// Results of all targets.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Seed of the samples.
    seed: u64,
    /// Figures per target.
    targets: Vec<Summary>,
    /// Reasons that do not belong, and why.
    wrong_reasons: Vec<String>,
}

impl Report {
    /// Puts the figures together. `known` are the names of all mutants.
    pub(crate) fn new(
        seed: u64,
        targets: Vec<Summary>,
        reasons: &Reasons,
        known: &[String],
    ) -> Self {
        let caught = |mutant: &str| {
            let lines = targets.iter().flat_map(|target| &target.results);
            lines
                .into_iter()
                .find(|line| line.key == mutant && line.verdict != Verdict::Missed)
        };
        let wrong = |mutant: &str| {
            if !known.iter().any(|known| known == mutant) {
                return Some(format!(
                    "{mutant}: there is no such mutant: take the reason out"
                ));
            }
            let by = caught(mutant)?
                .by
                .as_deref()
                .unwrap_or("the compiler or the time limit");
            Some(format!("{mutant}: {by} noticed it: take the reason out"))
        };
        let wrong_reasons = reasons.mutants().filter_map(wrong).collect();
        Self {
            seed,
            targets,
            wrong_reasons,
        }
    }

    /// Returns whether all is as it should be so far.
    pub(crate) fn is_good(&self) -> bool {
        let unexplained = |target: &Summary| target.survivors().any(|line| line.reason.is_none());
        self.wrong_reasons.is_empty()
            && !self
                .targets
                .iter()
                .any(|target| unexplained(target) || target.misses_goal())
    }

    /// Returns the text for people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from(
            "| part | mutants | sample | run | caught | timeout | missed | of them explained | do not compile | noticed |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
        );
        for target in &self.targets {
            let [caught, timeout, missed, unviable] = [
                Verdict::Caught,
                Verdict::Timeout,
                Verdict::Missed,
                Verdict::Unviable,
            ]
            .map(|verdict| target.count(verdict));
            let (run, explained) = (target.run(), target.explained());
            let Summary {
                target: name,
                mutants,
                sample,
                ..
            } = target;
            let share = share(target);
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "| {name} | {mutants} | {sample} | {run} | {caught} | {timeout} | {missed} | {explained} | {unviable} | {share} |"
            );
        }
        self.add_survivors(&mut text);
        for reason in &self.wrong_reasons {
            let _ = write!(text, "\nwrong reason: {reason}");
        }
        for target in self.targets.iter().filter(|target| target.misses_goal()) {
            let _ = write!(
                text,
                "\n{}: {} of its mutants were noticed, the goal is {} %",
                target.target,
                share(target),
                target.goal
            );
        }
        text.push('\n');
        text
    }

    /// Adds the survivors: first those without a reason.
    fn add_survivors(&self, text: &mut String) {
        let survivors = || self.targets.iter().flat_map(Summary::survivors);
        for line in survivors().filter(|line| line.reason.is_none()) {
            let _ = write!(text, "\nmissed: {}", line.mutant);
        }
        for line in survivors() {
            if let Some(reason) = &line.reason {
                let _ = write!(text, "\nexplained: {}: {reason}", line.mutant);
            }
        }
    }

    /// Writes the text and the same as JSON into a folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(Error::file(&path))
        };
        write("mutants.md", &self.text())?;
        let json = serde_json::to_string_pretty(self)
            .map_err(|error| Error::file(folder)(error.into()))?;
        write("mutants.json", &json)
    }
}

/// Returns the share of a target's mutants that was noticed, for people.
fn share(target: &Summary) -> String {
    target.per_thousand().map_or_else(
        || "-".to_owned(),
        |share| format!("{}.{} %", share.div_euclid(10), share.rem_euclid(10)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::summary;

    /// Returns reasons for these mutants.
    fn reasons(mutants: &[&str]) -> Reasons {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("reasons");
        let text: String = mutants
            .iter()
            .map(|mutant| format!("{mutant} | same result\n"))
            .collect();
        fs::write(&path, text).expect("a file");
        Reasons::read(&path).expect("reasons")
    }

    /// Returns a report on one target with these reasons.
    fn report(target: Summary, mutants: &[&str]) -> Report {
        let known: Vec<String> = target.results.iter().map(|line| line.key.clone()).collect();
        Report::new(1, vec![target], &reasons(mutants), &known)
    }

    /// Fails unless a report that is not good has this text.
    #[track_caller]
    fn assert_says(report: &Report, line: &str) {
        let text = report.text();
        assert!(text.contains(line), "{text}");
        assert!(!report.is_good(), "{text}");
    }

    #[test]
    fn table_has_a_row_per_target_and_survivors_have_their_place() {
        let report = report(
            summary(300, &[(Verdict::Caught, None), (Verdict::Missed, None)]),
            &[],
        );
        assert_says(
            &report,
            "| model | 1000 | 300 | 2 | 1 | 0 | 1 | 0 | 0 | 50.0 % |",
        );
        assert_says(&report, "\nmissed: a.rs:1: change\n");
    }

    #[test]
    fn survivor_with_a_reason_is_good() {
        let report = report(
            summary(300, &[(Verdict::Missed, Some("same result"))]),
            &["a.rs: change 0"],
        );
        let text = report.text();
        assert!(
            text.contains("\nexplained: a.rs:0: change: same result\n"),
            "{text}"
        );
        assert!(report.is_good());
    }

    #[test]
    fn reason_for_a_caught_or_unknown_mutant_is_reported() {
        for mutant in ["a.rs: change 0", "b.rs: gone"] {
            let report = report(summary(300, &[(Verdict::Caught, None)]), &[mutant]);
            assert_says(&report, &format!("wrong reason: {mutant}: "));
        }
    }

    #[test]
    fn missed_goal_is_reported_with_share_and_goal() {
        let report = report(
            summary(1, &[(Verdict::Missed, Some("same result"))]),
            &["a.rs: change 0"],
        );
        assert_says(
            &report,
            "model: 0.0 % of its mutants were noticed, the goal is 90 %",
        );
    }
}
