// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Rows that are measured together, one pair or a few of each per round.

use crate::plan::Pairs;
use crate::{Bench, Line, Plan};

/// Measurement of several rows.
///
/// A machine is faster at some times than at others. With its pairs spread over the whole
/// measurement, each row sees the same mixture. So two measurements agree better.
pub struct Rounds(Vec<(Plan, Pairs)>);

impl Rounds {
    /// Starts with these rows and no pairs.
    pub fn new(plans: Vec<Plan>) -> Self {
        let rows = plans.into_iter().map(|plan| (plan, Ok(Vec::new())));
        Self(rows.collect())
    }

    /// Measures more pairs of each row, except rows that have failed.
    pub fn measure(&mut self, bench: &mut Bench) {
        for (plan, pairs) in &mut self.0 {
            for _ in 0..plan.pairs_per_round() {
                let Ok(so_far) = pairs else { break };
                match plan.pair(bench, so_far.len()) {
                    Ok(pair) => so_far.push(pair),
                    Err(error) => *pairs = Err(error),
                }
            }
        }
    }

    /// Returns the rows in the order of their plans.
    pub fn lines(self) -> impl Iterator<Item = Line> {
        self.0.into_iter().map(|(plan, pairs)| plan.row(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans;

    fn names(lines: impl Iterator<Item = Line>) -> Vec<String> {
        let name = |line| match line {
            Line::Row(row) => format!("{}: {} pairs", row.name, row.pairs),
            Line::LeftOut(left_out) => format!("{}: left out", left_out.name),
        };
        lines.map(name).collect()
    }

    #[test]
    fn each_row_gets_a_pair_in_each_round() {
        let mut bench = Bench::new("/dev/no-such-node", None);
        let mut rounds = Rounds::new(vec![Plan::of_nothing("one"), Plan::of_nothing("other")]);
        (0..3).for_each(|_| rounds.measure(&mut bench));
        assert_eq!(names(rounds.lines()), ["one: 3 pairs", "other: 3 pairs"]);
    }

    #[test]
    fn failed_row_alone_is_left_out() {
        let mut bench = Bench::new("/dev/no-such-node", None);
        let needs_a_device = plans().into_iter().next().expect("a plan");
        let name = needs_a_device.name;
        let mut rounds = Rounds::new(vec![needs_a_device, Plan::of_nothing("other")]);
        (0..2).for_each(|_| rounds.measure(&mut bench));
        let expected = [format!("{name}: left out"), "other: 2 pairs".into()];
        assert_eq!(names(rounds.lines()), expected);
    }
}
