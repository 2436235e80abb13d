// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Picture of ratios as SVG: one row each on a common logarithmic axis, with spread and goal.

use svg::node::element::{Circle, Line, Rectangle, Text, Title};
use svg::{Document, Node};

use crate::bench::{Op, Ratio};

const WIDTH: f64 = 1000.0;
const NAMES: f64 = 300.0;
/// Room for the figure at the end of a row.
const FIGURES: f64 = 90.0;
const ROW: f64 = 26.0;
const AXIS: f64 = 26.0;

/// Draws the ratios that a logarithmic axis can show.
pub(crate) fn draw(ratios: &[Ratio]) -> String {
    let drawn: Vec<&Ratio> = ratios.iter().filter(|ratio| is_drawable(ratio)).collect();
    let axis = Axis::around(&drawn);
    let height = drawn.len() as f64 * ROW + AXIS;
    let mut picture = Document::new()
        .set("viewBox", format!("0 0 {WIDTH} {height}"))
        .set("role", "img")
        .add(Title::new("ratios with their spread and goals"));
    for power in axis.from..=axis.to {
        let value = 10f64.powi(power);
        let x = axis.x(value);
        picture.append(
            line(x, 0.0, x, height - AXIS).set("class", if power == 0 { "one" } else { "lane" }),
        );
        let label = Text::new(format!("{value}"))
            .set("x", x)
            .set("y", height - 8.0);
        picture.append(label.set("text-anchor", "middle"));
    }
    for (number, ratio) in drawn.iter().enumerate() {
        row(&mut picture, ratio, &axis, (number as f64 + 0.5) * ROW);
    }
    picture.to_string()
}

/// Draws the row of a ratio.
fn row(picture: &mut Document, ratio: &Ratio, axis: &Axis, y: f64) {
    let class = match ratio.is_met() {
        Some(true) => "met",
        Some(false) => "missed",
        None => "free",
    };
    let name = Text::new(ratio.name.as_str()).set("x", 0).set("y", y + 4.0);
    picture.append(name);
    if let Some(goal) = ratio.goal {
        // The side on which the median should lie.
        let (from, to) = match goal.op {
            Op::AtMost => (axis.x(0.0), axis.x(goal.value)),
            Op::AtLeast => (axis.x(goal.value), axis.x(f64::INFINITY)),
        };
        let good = Rectangle::new()
            .set("class", "goal")
            .set("x", from)
            .set("y", y - 9.0);
        picture.append(good.set("width", (to - from).max(0.0)).set("height", 18));
    }
    let (low, high) = (axis.x(ratio.low), axis.x(ratio.high));
    picture.append(line(low, y, high, y).set("class", class));
    for end in [low, high] {
        picture.append(line(end, y - 5.0, end, y + 5.0).set("class", class));
    }
    let median = Circle::new()
        .set("class", class)
        .set("cx", axis.x(ratio.median))
        .set("cy", y);
    let title = format!("{} to {} in {} pairs", ratio.low, ratio.high, ratio.pairs);
    picture.append(median.set("r", 5).add(Title::new(title)));
    let mark = match class {
        "met" => "✓ ",
        "missed" => "✗ ",
        _ => "",
    };
    let figure = format!("{mark}{}", super::page::figure(ratio.median));
    let figure = Text::new(figure).set("class", class);
    let figure = figure.set("text-anchor", "end").set("x", WIDTH - 4.0);
    picture.append(figure.set("y", y + 4.0));
}

/// Returns a line between two points.
fn line(x1: f64, y1: f64, x2: f64, y2: f64) -> Line {
    Line::new()
        .set("x1", x1)
        .set("y1", y1)
        .set("x2", x2)
        .set("y2", y2)
}

/// Returns whether a ratio has a place on the axis: a logarithmic axis shows only values above 0.
fn is_drawable(ratio: &Ratio) -> bool {
    let figures = [ratio.low, ratio.median, ratio.high];
    figures
        .iter()
        .all(|figure| figure.is_finite() && *figure > 0.0)
}

/// Axis between two powers of ten.
struct Axis {
    from: i32,
    to: i32,
}

impl Axis {
    /// Returns an axis that covers all ratios, and 1.
    fn around(ratios: &[&Ratio]) -> Self {
        let goals = ratios.iter().filter_map(|ratio| Some(ratio.goal?.value));
        let goals = goals.filter(|goal| goal.is_finite() && *goal > 0.0);
        let figures = ratios.iter().flat_map(|ratio| [ratio.low, ratio.high]);
        let powers: Vec<f64> = figures.chain(goals).map(f64::log10).collect();
        let lowest = powers.iter().copied().fold(-0.1, f64::min);
        let highest = powers.iter().copied().fold(0.1, f64::max);
        Self {
            from: lowest.floor() as i32,
            to: highest.ceil() as i32,
        }
    }

    /// Returns the place of a ratio. A ratio beyond an end gets the place of that end.
    fn x(&self, ratio: f64) -> f64 {
        let (from, to) = (f64::from(self.from), f64::from(self.to));
        let share = (ratio.log10() - from) / (to - from);
        NAMES + share.clamp(0.0, 1.0) * (WIDTH - NAMES - FIGURES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::tests::example;

    #[test]
    fn axis_has_all_of_every_spread_and_one() {
        let bench = example();
        let ratios: Vec<&Ratio> = bench.ratios.iter().collect();

        let axis = Axis::around(&ratios);

        assert!(10f64.powi(axis.from) < 1.0 && 10f64.powi(axis.to) > 1.0);
        for ratio in ratios {
            assert!(10f64.powi(axis.from) <= ratio.low && ratio.high <= 10f64.powi(axis.to));
        }
        assert!(axis.x(0.0) <= axis.x(1.0) && axis.x(1.0) < axis.x(f64::INFINITY));
    }

    #[test]
    fn ratio_that_has_no_place_is_left_to_the_table() {
        let mut bench = example();
        for ratio in &mut bench.ratios {
            ratio.low = 0.0;
        }

        assert!(!draw(&bench.ratios).contains("circle"));
    }
}
