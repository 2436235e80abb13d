// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The table for people, in Markdown, line by line.

use crate::{Goal, Op, Row, Side};

/// What stands above the rows.
pub const HEADER: &str = "\
| what | median | low to high | goal | | numerator | denominator |
|---|---|---|---|---|---|---|
";

/// What is to be known of the columns.
pub const LEGEND: &str =
    "Median of the pairs' ratios; eight in ten lie from low to high. The figures beside are medians.";

/// The line of a row.
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

fn shown(goal: Goal) -> String {
    let op = match goal.op {
        Op::AtMost => "<=",
        Op::AtLeast => ">=",
    };
    format!("{op} {}", number(goal.value))
}

fn side(side: &Side) -> String {
    match side.unit.as_str() {
        "1" => format!("{}: {}", side.what, number(side.median)),
        unit => format!("{}: {} {unit}", side.what, number(side.median)),
    }
}

/// Three digits that count, with a letter for millions and more.
fn number(value: f64) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e4, "k")];
    let unit = units.iter().find(|(size, _)| value.abs() >= *size);
    let (scaled, letter) = match unit {
        Some((_, "k")) => (value / 1e3, "k"),
        Some((size, letter)) => (value / size, *letter),
        None => (value, ""),
    };
    let decimals = match scaled.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        0.0 => 0,
        _ => 2,
    };
    format!("{scaled:.decimals$}{letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(goal: Goal, pairs: &[(f64, f64)]) -> Row {
        let sides = (("ours", "ns"), ("theirs", "ns"));
        Row::new(("read", "a read", "x"), Some(goal), sides, pairs).expect("pairs")
    }

    #[test]
    fn row_says_whether_its_goal_is_met() {
        let goal = |op| Goal { op, value: 2.0 };
        let pairs = [(3.0, 1.0)];

        assert!(line(&row(goal(Op::AtMost), &pairs)).contains("| <= 2.00 | **missed** |"));
        assert!(line(&row(goal(Op::AtLeast), &pairs)).contains("| >= 2.00 | met |"));
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        let shown: Vec<_> = [0.0, 0.123, 1.0, 12.345, 1234.0, 56_789.0, 12e6, 3.5e9]
            .map(number)
            .into();

        assert_eq!(
            shown,
            ["0", "0.12", "1.00", "12.3", "1234", "56.8k", "12.0M", "3.50G"]
        );
    }
}
