// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A row of the benchmark's table, in the form of `bench.json`.

use crate::Spread;
use serde::{Deserialize, Serialize};

/// A ratio, its spread, its goal, and the raw figures beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Short name, which never changes.
    pub name: String,
    /// Comparison, in words.
    pub what: String,
    /// Unit of the ratio: `x` if both sides have the same unit, else what the division leaves, as
    /// `/s`. Empty for a count.
    pub unit: String,
    /// Goal, if there is one.
    pub goal: Option<Goal>,
    /// Median of the pairs' ratios.
    pub median: f64,
    /// Tenth percentile of the ratios.
    pub low: f64,
    /// Ninetieth percentile of the ratios.
    pub high: f64,
    /// Number of pairs.
    pub pairs: usize,
    /// Numerator of the ratio.
    pub numerator: Side,
    /// Denominator of the ratio.
    pub denominator: Side,
}

/// One half of a ratio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Name of the figure.
    pub what: String,
    /// Unit of the figure.
    pub unit: String,
    /// Median over the pairs.
    pub median: f64,
}

/// Goal of a row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// Required relation between the median and the value.
    pub op: Op,
    /// Value to compare with.
    pub value: f64,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// At most.
    #[serde(rename = "<=")]
    AtMost,
    /// At least.
    #[serde(rename = ">=")]
    AtLeast,
}

/// A row that could not be measured here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Name of the row.
    pub name: String,
    /// Reason.
    pub reason: String,
}

/// Result for a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The row was measured.
    Row(Row),
    /// The row was not measured.
    LeftOut(LeftOut),
}

impl Goal {
    /// Returns whether a value meets the goal.
    pub fn is_met_by(&self, value: f64) -> bool {
        match self.op {
            Op::AtMost => value <= self.value,
            Op::AtLeast => value >= self.value,
        }
    }
}

impl Row {
    /// Makes a row from measured pairs: numerator, denominator. `None` if there are none.
    pub fn new(
        (name, what, unit): (&str, &str, &str),
        goal: Option<Goal>,
        (numerator, denominator): ((&str, &str), (&str, &str)),
        pairs: &[(f64, f64)],
    ) -> Option<Self> {
        let spread = |value: fn(&(f64, f64)) -> f64| {
            let values: Vec<_> = pairs.iter().map(value).collect();
            Spread::of(&values)
        };
        let side = |(what, unit): (&str, &str), spread: Spread| Side {
            what: what.to_owned(),
            unit: unit.to_owned(),
            median: spread.median,
        };
        let ratio = spread(|(above, below)| above / below)?;
        Some(Self {
            name: name.to_owned(),
            what: what.to_owned(),
            unit: unit.to_owned(),
            goal,
            median: ratio.median,
            low: ratio.low,
            high: ratio.high,
            pairs: pairs.len(),
            numerator: side(numerator, spread(|(above, _)| *above)?),
            denominator: side(denominator, spread(|(_, below)| *below)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(pairs: &[(f64, f64)]) -> Option<Row> {
        let goal = Goal {
            op: Op::AtMost,
            value: 2.0,
        };
        let sides = (("ours", "ns"), ("theirs", "ns"));
        Row::new(("read", "a read", "x"), Some(goal), sides, pairs)
    }

    #[test]
    fn ratio_is_the_median_of_the_ratios_and_not_the_ratio_of_the_medians() {
        let row = row(&[(1.0, 1.0), (9.0, 3.0), (10.0, 2.0)]).expect("pairs");

        assert_eq!(row.median, 3.0);
        assert_eq!(row.numerator.median / row.denominator.median, 4.5);
    }

    #[test]
    fn row_without_pairs_is_none() {
        assert_eq!(row(&[]), None);
    }

    #[test]
    fn json_is_as_documented() {
        let row = row(&[(4.0, 2.0)]).expect("a pair");

        let expected = json!({
            "name": "read", "what": "a read", "unit": "x", "goal": { "op": "<=", "value": 2.0 },
            "median": 2.0, "low": 2.0, "high": 2.0, "pairs": 1,
            "numerator": { "what": "ours", "unit": "ns", "median": 4.0 },
            "denominator": { "what": "theirs", "unit": "ns", "median": 2.0 },
        });
        assert_eq!(serde_json::to_value(&row).expect("JSON"), expected);
        let line = serde_json::to_string(&Line::Row(row.clone())).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Line>(&line).expect("read back"),
            Line::Row(row)
        );
    }

    #[test]
    fn value_at_the_goal_meets_it() {
        let goal = |op| Goal { op, value: 2.0 };

        assert!(goal(Op::AtMost).is_met_by(2.0) && goal(Op::AtLeast).is_met_by(2.0));
        assert!(!goal(Op::AtMost).is_met_by(2.1) && !goal(Op::AtLeast).is_met_by(1.9));
        assert!(!goal(Op::AtMost).is_met_by(f64::NAN));
    }
}
