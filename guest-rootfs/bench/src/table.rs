// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The table for people, in Markdown, line by line.

use crate::{Goal, Op, Row, Side};

/// Head of the table.
pub const HEADER: &str = "\
| what | median | low to high | goal | | numerator | denominator |
|---|---|---|---|---|---|---|
";

/// Explanation of the columns.
pub const LEGEND: &str =
    "Median of the pairs' ratios; eight in ten lie from low to high. The other figures are medians.";

/// Returns the line of a row.
pub fn line(row: &Row) -> String {
    let unit = match row.unit.as_str() {
        "x" => "",
        unit => unit,
    };
    let goal = row.goal.map_or_else(|| "-".to_owned(), shown);
    let met = match row.goal {
        None => "",
        Some(goal) if goal.is_met_by(row.median) => "met",
        Some(_) => "**missed**",
    };
    format!(
        "| {} | {}{unit} | {} to {} | {goal} | {met} | {} | {} |\n",
        row.what,
        number(row.median),
        number(row.low),
        number(row.high),
        side(&row.numerator),
        side(&row.denominator),
    )
}

/// Returns a goal in words.
fn shown(goal: Goal) -> String {
    let op = match goal.op {
        Op::AtMost => "<=",
        Op::AtLeast => ">=",
    };
    format!("{op} {}", number(goal.value))
}

/// Returns one half of a ratio in words.
fn side(side: &Side) -> String {
    let (value, prefix) = scaled(side.median);
    let shown = match (side.unit.as_str(), prefix) {
        ("1", _) => number(side.median),
        ("ns", "k") => format!("{} us", digits(value)),
        ("ns", "M") => format!("{} ms", digits(value)),
        (unit, prefix) => format!("{} {prefix}{unit}", digits(value)),
    };
    format!("{}: {shown}", side.what)
}

/// Returns a number with three significant digits, and a letter for thousands and more.
fn number(value: f64) -> String {
    let (scaled, letter) = scaled(value);
    format!("{}{letter}", digits(scaled))
}

/// Scales a number for reading. Returns it with the prefix of its unit.
fn scaled(value: f64) -> (f64, &'static str) {
    let prefixes = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    let prefix = prefixes.iter().find(|(size, _)| value.abs() >= *size);
    prefix.map_or((value, ""), |(size, letter)| (value / size, *letter))
}

/// Returns a number with three significant digits.
fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        0.0 => 0,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(goal: Goal, pairs: &[(f64, f64)]) -> Row {
        let sides = (("ours", "ns"), ("theirs", "ns"));
        Row::new(("read", "a read", "x"), Some(goal), sides, pairs).expect("pairs")
    }

    #[test]
    fn row_shows_whether_its_goal_is_met() {
        let goal = |op| Goal { op, value: 2.0 };
        let pairs = [(3.0, 1.0)];

        assert!(line(&row(goal(Op::AtMost), &pairs)).contains("| <= 2.00 | **missed** |"));
        assert!(line(&row(goal(Op::AtLeast), &pairs)).contains("| >= 2.00 | met |"));
    }

    #[test]
    fn numbers_have_three_significant_digits() {
        let shown: Vec<_> = [0.0, 0.123, 1.0, 12.345, 123.4, 56_789.0, 12e6, 3.5e9]
            .map(number)
            .into();

        let expected = [
            "0", "0.12", "1.00", "12.3", "123", "56.8k", "12.0M", "3.50G",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn units_are_scaled_and_counts_have_none() {
        let shown = |unit: &str, median| {
            side(&Side {
                what: "it".to_owned(),
                unit: unit.to_owned(),
                median,
            })
        };

        assert_eq!(shown("ns", 170.0), "it: 170 ns");
        assert_eq!(shown("ns", 57_000.0), "it: 57.0 us");
        assert_eq!(shown("B/s", 7.67e9), "it: 7.67 GB/s");
        assert_eq!(shown("1", 12e6), "it: 12.0M");
        assert_eq!(shown("s", 3.5), "it: 3.50 s");
    }
}
