// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Life of one operation as SVG: one lane per actor, and the steps with their numbers.

use svg::node::element::{Line, Rectangle, Text, Title};
use svg::{Document, Node};

use crate::operations::Operation;
use crate::picture::kind;

const WIDTH: f64 = 1000.0;
const LABELS: f64 = 120.0;
const LANE: f64 = 40.0;
const AXIS: f64 = 22.0;
/// Width of a step's number.
const NUMBER: f64 = 12.0;

/// Draws an operation. Steps are numbered from 1, in the order of [`Operation::steps`].
pub(crate) fn draw(operation: &Operation<'_>) -> String {
    let steps = operation.steps();
    let times = || steps.iter().map(|(_, moment)| moment.time());
    let begin = times().min().unwrap_or_default();
    let length = times()
        .max()
        .unwrap_or_default()
        .saturating_sub(begin)
        .max(1) as f64;
    let x = |time: u64| {
        let share = time.saturating_sub(begin) as f64 / length;
        LABELS + share * (WIDTH - LABELS - 2.0 * NUMBER)
    };
    let mut lanes: Vec<&str> = Vec::new();
    for (_, moment) in &steps {
        let owner = moment.site.owner.as_str();
        if !lanes.contains(&owner) {
            lanes.push(owner);
        }
    }
    let height = lanes.len() as f64 * LANE + AXIS;
    let mut picture = Document::new()
        .set("viewBox", format!("0 0 {WIDTH} {height}"))
        .set("role", "img")
        .add(Title::new("the life of an operation"));
    for (number, owner) in lanes.iter().enumerate() {
        let top = number as f64 * LANE;
        let middle = top + LANE * 0.5;
        let name = Text::new(*owner).set("class", kind(owner)).set("x", 0);
        picture.append(name.set("y", middle + 4.0));
        let floor = Line::new()
            .set("class", "lane")
            .set("x1", LABELS)
            .set("x2", WIDTH);
        picture.append(floor.set("y1", top + LANE).set("y2", top + LANE));
        if *owner == operation.fetched.site.owner {
            let (from, to) = (x(operation.fetched.time()), x(operation.completed.time()));
            let work = Rectangle::new()
                .set("class", "work")
                .set("x", from)
                .set("y", top + 14.0);
            let work = work
                .set("width", (to - from).max(2.0))
                .set("height", LANE - 18.0);
            picture.append(work.add(Title::new("the device works")));
        }
        let mut free = LABELS;
        for (step, (what, moment)) in (1..).zip(&steps) {
            if moment.site.owner != *owner {
                continue;
            }
            let at = x(moment.time());
            let tick = Rectangle::new().set("class", kind(owner)).set("x", at);
            let tick = tick
                .set("y", top + 14.0)
                .set("width", 3)
                .set("height", LANE - 18.0);
            picture.append(tick.add(Title::new(*what)));
            // Numbers of close steps would overlap, so each moves to the right as far as needed.
            let label = at.max(free);
            free = label + NUMBER;
            picture.append(
                Text::new(step.to_string())
                    .set("x", label)
                    .set("y", top + 11.0),
            );
        }
    }
    for (share, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
        let label = format!("{:.0} µs", share * length / 1000.0);
        let at = LABELS + share * (WIDTH - LABELS - 2.0 * NUMBER);
        let label = Text::new(label).set("x", at).set("text-anchor", anchor);
        picture.append(label.set("y", height - 6.0));
    }
    picture.to_string()
}
