// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Timeline of a case as SVG. Colours come from the page's style, so that light and dark both work.

use svg::node::element::{Line, Rectangle, Text, Title};
use svg::{Document, Node};

use crate::run::{Case, Moment};

/// Sizes in units of the picture.
const WIDTH: f64 = 1000.0;
const LABELS: f64 = 90.0;
const LANE: f64 = 24.0;
const AXIS: f64 = 22.0;
/// Narrowest visible box.
const NARROWEST: f64 = 2.0;
/// Number of marks on the axis.
const TICKS: u32 = 5;

/// Draws the moments of a case: one lane per vCPU and one for the device.
pub(crate) fn draw(case: &Case, moments: &[&Moment]) -> String {
    let mut lanes: Vec<String> = moments.iter().map(|moment| moment.lane()).collect();
    lanes.sort();
    lanes.dedup();
    let end = moments
        .iter()
        .map(|moment| moment.until().unwrap_or(moment.time()))
        .max();
    let length = end
        .unwrap_or(case.begin)
        .max(case.end)
        .saturating_sub(case.begin)
        .max(1) as f64;
    let x = |time: u64| {
        let share = time.saturating_sub(case.begin) as f64 / length;
        LABELS + share * (WIDTH - LABELS - NARROWEST)
    };
    let height = lanes.len() as f64 * LANE + AXIS;
    let mut picture = Document::new()
        .set("viewBox", (0, 0, WIDTH as u32, height as u32))
        .set("role", "img")
        .add(Title::new(format!("timeline of {}", case.name)));
    for (number, lane) in lanes.iter().enumerate() {
        let top = number as f64 * LANE;
        picture.append(
            Text::new(lane.as_str())
                .set("x", 0)
                .set("y", top + LANE * 0.7),
        );
        let line = Line::new()
            .set("class", "lane")
            .set("x1", LABELS)
            .set("x2", WIDTH);
        picture.append(line.set("y1", top + LANE).set("y2", top + LANE));
    }
    for moment in moments {
        let number = lanes.iter().position(|lane| *lane == moment.lane());
        let top = number.unwrap_or_default() as f64 * LANE;
        let begin = x(moment.time());
        let width = moment
            .until()
            .map_or(NARROWEST, |until| (x(until) - begin).max(NARROWEST));
        let title = format!("{} {}", moment.words(), moment.site.function);
        let part = Rectangle::new()
            .set("class", format!("part {}", kind(&moment.site.owner)))
            .set("x", format!("{begin:.1}"))
            .set("y", top + 4.0)
            .set("width", format!("{width:.1}"))
            .set("height", LANE - 8.0)
            .add(Title::new(title));
        picture.append(part);
    }
    for tick in 0..=TICKS {
        let share = f64::from(tick) / f64::from(TICKS);
        let at = LABELS + share * (WIDTH - LABELS);
        let anchor = if tick == TICKS { "end" } else { "start" };
        let text = Text::new(format!("{} µs", (share * length / 1000.0).round()));
        picture.append(
            text.set("x", at)
                .set("y", height - 6.0)
                .set("text-anchor", anchor),
        );
    }
    picture.to_string()
}

/// Returns the class of an actor's colour.
pub(crate) fn kind(owner: &str) -> &'static str {
    match owner {
        "driver" => "driver",
        "kernel" => "kernel",
        "device" => "device",
        _ => "program",
    }
}
