// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The timeline in the Chrome trace format ("Trace Event Format"), which Perfetto reads.

use serde_json::{json, Value};

use crate::error::Error;
use crate::run::Run;

/// Process of all lanes: the picture needs one.
const PROCESS: u32 = 1;

/// Returns the whole file.
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

/// Lanes in the order of their appearance.
#[derive(Default)]
struct Lanes(Vec<String>);

impl Lanes {
    /// Returns the number of a lane, and adds the lane if it is new.
    fn number(&mut self, name: &str) -> usize {
        self.0
            .iter()
            .position(|lane| lane == name)
            .unwrap_or_else(|| {
                self.0.push(name.to_owned());
                self.0.len() - 1
            })
    }

    /// Returns the records that name the lanes.
    fn names(&self) -> impl Iterator<Item = Value> + '_ {
        self.0.iter().enumerate().map(|(number, name)| {
            json!({
                "name": "thread_name", "ph": "M", "pid": PROCESS, "tid": number,
                "args": { "name": name },
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::{access, moment, sum};
    use crate::run::{Case, Happening};
    use ringbar_records::record::{Access, Event, What};

    /// Returns the events of a run with one case from 1 to 9 µs that contains these.
    fn events(what: Vec<Happening>) -> Vec<Value> {
        let run = Run {
            cases: vec![Case {
                name: "first".to_owned(),
                begin: 1000,
                end: 9000,
                ..Case::default()
            }],
            moments: what.into_iter().map(moment).collect(),
            ..Run::default()
        };
        let text = trace(&run).expect("a trace");
        let file: Value = serde_json::from_str(&text).expect("JSON");
        file["traceEvents"].as_array().expect("a list").clone()
    }

    /// Returns the lane of an event, by name.
    fn lane<'a>(events: &'a [Value], event: &Value) -> &'a Value {
        let names = |lane: &&Value| lane["ph"] == "M" && lane["tid"] == event["tid"];
        &events.iter().find(names).expect("a name")["args"]["name"]
    }

    #[test]
    fn case_lasts_from_its_begin_to_its_end() {
        let events = events(vec![]);

        let case = &events[0];
        assert_eq!((&case["name"], &case["ph"]), (&json!("first"), &json!("X")));
        assert_eq!((&case["ts"], &case["dur"]), (&json!(0.0), &json!(8.0)));
        assert_eq!(lane(&events, case), "cases");
    }

    #[test]
    fn what_took_a_time_has_its_length_and_other_things_have_none() {
        let one = Access {
            time: 3000,
            ..access(0, false, 1)
        };
        let several = Access {
            until: Some(5500),
            ..one.clone()
        };

        let events = events(vec![Happening::Access(one), Happening::Access(several)]);

        assert_eq!(
            (&events[1]["ph"], &events[1]["ts"]),
            (&json!("i"), &json!(2.0))
        );
        assert!(events[1]["dur"].is_null());
        assert_eq!(
            (&events[2]["ph"], &events[2]["ts"]),
            (&json!("X"), &json!(2.0))
        );
        assert_eq!(events[2]["dur"], 2.5);
    }

    #[test]
    fn processors_device_and_sums_have_lanes_of_their_own() {
        let second = Access {
            cpu: 1,
            ..access(0, false, 1)
        };
        let raised = Event {
            time: 2,
            duration: None,
            what: What::Interrupt { vector: 1 },
        };

        let events = events(vec![
            Happening::Access(access(0, false, 1)),
            Happening::Access(second),
            Happening::Event(raised),
            Happening::Sum(sum(0, false, 2)),
        ]);

        let lanes: Vec<_> = events[1..5]
            .iter()
            .map(|event| lane(&events, event))
            .collect();
        assert_eq!(lanes, ["vCPU 0", "vCPU 1", "device", "sums"]);
    }
}
