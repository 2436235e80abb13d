// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The timeline in the Chrome trace format ("Trace Event Format"), which Perfetto reads.

use serde_json::{json, Value};

use crate::error::Error;
use crate::run::Run;

/// All lanes belong to one process of the picture.
const PROCESS: u32 = 1;

/// The whole file.
pub(crate) fn trace(run: &Run) -> Result<String, Error> {
    let mut lanes = Lanes::default();
    let mut events = Vec::new();
    let zero = run.cases.first().map_or(0, |case| case.begin);
    let microseconds = |time: u64| time.saturating_sub(zero) as f64 / 1000.0;
    for case in run.cases.iter().filter(|case| !case.name.is_empty()) {
        events.push(json!({
            "name": case.name, "cat": "case", "ph": "X", "pid": PROCESS, "tid": lanes.number("cases"),
            "ts": microseconds(case.begin),
            "dur": microseconds(case.end) - microseconds(case.begin),
            "args": { "program": case.program, "passed": case.passed },
        }));
    }
    for moment in &run.moments {
        let at = microseconds(moment.time());
        let mut event = json!({
            "name": moment.words(), "cat": moment.site.owner, "pid": PROCESS,
            "tid": lanes.number(&moment.lane()), "ts": at,
            "args": { "function": moment.site.function, "place": moment.site.place },
        });
        let (kind, span) = match moment.until() {
            Some(until) => ("X", ("dur", json!(microseconds(until) - at))),
            None => ("i", ("s", json!("t"))),
        };
        if let Value::Object(event) = &mut event {
            event.insert("ph".to_owned(), kind.into());
            event.insert(span.0.to_owned(), span.1);
        }
        events.push(event);
    }
    events.extend(lanes.names());
    let file = json!({ "displayTimeUnit": "ns", "traceEvents": events });
    Ok(serde_json::to_string(&file)?)
}

/// Lanes by the order in which they come up.
#[derive(Default)]
struct Lanes(Vec<String>);

impl Lanes {
    fn number(&mut self, name: &str) -> usize {
        self.0
            .iter()
            .position(|lane| lane == name)
            .unwrap_or_else(|| {
                self.0.push(name.to_owned());
                self.0.len() - 1
            })
    }

    fn names(&self) -> impl Iterator<Item = Value> + '_ {
        self.0.iter().enumerate().map(|(number, name)| {
            json!({
                "name": "thread_name", "ph": "M", "pid": PROCESS, "tid": number,
                "args": { "name": name },
            })
        })
    }
}
