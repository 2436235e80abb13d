// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Figures of one target, and what they lack.

use serde::Serialize;

use crate::mutant::Mutant;
use crate::reasons::Reasons;
use crate::results::{Results, Verdict};
use crate::state::State;
use crate::target::Target;

/// A mutant and its result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Line {
    /// Place and change.
    pub(crate) mutant: String,
    /// The result.
    pub(crate) verdict: Verdict,
    /// The test that noticed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    /// Reason for which it may survive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Whether the sample has it. Others ran because the user named them.
    pub(crate) drawn: bool,
    /// Name without a line, for the file of reasons.
    pub(crate) key: String,
}

/// Figures of one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// Name of the target.
    pub(crate) target: String,
    /// Number of all mutants.
    pub(crate) mutants: usize,
    /// Number of those in the sample.
    pub(crate) sample: usize,
    /// Percentage that must be noticed.
    pub(crate) goal: u32,
    /// Results so far.
    pub(crate) results: Vec<Line>,
}

impl Summary {
    /// Sums up the results so far that still count.
    pub(crate) fn new(
        target: &Target,
        (all, sample): (&[Mutant], &[Mutant]),
        results: &Results,
        reasons: &Reasons,
        state: &State,
    ) -> Self {
        let mut lines = Vec::new();
        for mutant in all {
            let key = mutant.key();
            if let Some(record) = results.get(&key, state.sums(mutant)) {
                lines.push(Line {
                    mutant: mutant.shown(),
                    verdict: record.verdict,
                    by: record.by.clone(),
                    reason: reasons.get(&key).map(str::to_owned),
                    drawn: sample.contains(mutant),
                    key,
                });
            }
        }
        Self {
            target: target.name.to_owned(),
            mutants: all.len(),
            sample: sample.len(),
            goal: target.goal,
            results: lines,
        }
    }

    /// Returns the number of mutants of the sample with this result.
    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        let counts = |line: &&Line| line.drawn && line.verdict == verdict;
        self.results.iter().filter(counts).count()
    }

    /// Returns the number of mutants of the sample that have a result.
    pub(crate) fn run(&self) -> usize {
        self.results.iter().filter(|line| line.drawn).count()
    }

    /// Returns the survivors, those outside of the sample too.
    pub(crate) fn survivors(&self) -> impl Iterator<Item = &Line> {
        self.results
            .iter()
            .filter(|line| line.verdict == Verdict::Missed)
    }

    /// Returns the survivors of the sample that have a reason.
    pub(crate) fn explained(&self) -> usize {
        self.survivors()
            .filter(|line| line.drawn && line.reason.is_some())
            .count()
    }

    /// Returns noticed mutants per thousand of those that compile, or `None` before the first one.
    pub(crate) fn per_thousand(&self) -> Option<usize> {
        let noticed = self
            .count(Verdict::Caught)
            .saturating_add(self.count(Verdict::Timeout));
        let viable = noticed.saturating_add(self.count(Verdict::Missed));
        noticed.saturating_mul(1000).checked_div(viable)
    }

    /// Returns whether the whole sample ran and too little of it was noticed.
    pub(crate) fn misses_goal(&self) -> bool {
        let goal = usize::try_from(self.goal)
            .unwrap_or_default()
            .saturating_mul(10);
        self.run() == self.sample && self.per_thousand().is_some_and(|share| share < goal)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a target's figures with these results, all of the sample.
    pub(crate) fn summary(sample: usize, results: &[(Verdict, Option<&str>)]) -> Summary {
        let line = |(number, (verdict, reason)): (usize, &(Verdict, Option<&str>))| Line {
            mutant: format!("a.rs:{number}: change"),
            verdict: *verdict,
            by: None,
            reason: reason.map(str::to_owned),
            drawn: true,
            key: format!("a.rs: change {number}"),
        };
        Summary {
            target: "model".to_owned(),
            mutants: 1000,
            sample,
            goal: 90,
            results: results.iter().enumerate().map(line).collect(),
        }
    }

    #[test]
    fn share_is_of_those_that_compile_and_a_timeout_is_noticed() {
        let results = [
            (Verdict::Caught, None),
            (Verdict::Timeout, None),
            (Verdict::Missed, None),
            (Verdict::Unviable, None),
        ];
        assert_eq!(summary(300, &results).per_thousand(), Some(666));
        assert_eq!(
            summary(300, &[(Verdict::Unviable, None)]).per_thousand(),
            None
        );
    }

    #[test]
    fn mutant_outside_of_the_sample_is_listed_but_not_counted() {
        let mut summary = summary(300, &[(Verdict::Caught, None), (Verdict::Missed, None)]);
        summary.results[1].drawn = false;
        assert_eq!(summary.run(), 1);
        assert_eq!(summary.per_thousand(), Some(1000));
        assert_eq!(summary.survivors().count(), 1);
    }

    #[test]
    fn goal_counts_when_the_whole_sample_ran() {
        let results = [(Verdict::Caught, None), (Verdict::Missed, Some("a reason"))];
        assert!(!summary(3, &results).misses_goal());
        assert!(summary(2, &results).misses_goal());
        assert!(!summary(1, &results[..1]).misses_goal());
    }
}
