// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The timeline in the Chrome trace format ("Trace Event Format"), which Perfetto reads.
//!
//! Readers draw the slices of a lane as a stack, and drop a slice that overlaps another one without
//! lying in it. So slices that overlap have lanes of their own. Causes are joined by flows: from the
//! doorbell to the copy, the interrupt, and the access that sees the result.

mod lane;

use ringbar_records::record::What;
use serde_json::{json, Value};

use self::lane::{Lanes, Slice};
use crate::error::Error;
use crate::operations::{self, Operation};
use crate::run::{Happening, Moment, Run};
use std::collections::{BTreeMap, HashSet};

/// Process of all lanes: the picture needs one.
const PROCESS: u32 = 1;

/// Shortest length of a slice that a flow joins, in nanoseconds. Perfetto cuts times off to whole
/// nanoseconds, and reads 16.002 µs as 16,001 ns. So a slice of one could lose its length, and then
/// ends before Perfetto comes to the flow.
const POINT: u64 = 2;

/// Most flows per case. A stress test has tens of thousands of operations, and no reader of pictures
/// follows more than these.
const FLOWS: usize = 200;

/// Returns the whole file. Returns `None` without any event: readers refuse an empty list.
pub(crate) fn timeline(run: &Run) -> Result<Option<String>, Error> {
    let zero = zero(run);
    let operations = operations::of(run);
    let mut lanes = Lanes::default();
    let mut instants = Vec::new();
    for case in run.cases.iter().filter(|case| !case.name.is_empty()) {
        let what = json!({
            "name": case.name, "cat": "case",
            "args": { "program": case.program, "passed": case.passed },
        });
        lanes.add("cases", Slice::new(case.begin, case.end, what));
    }
    let flows = flows(&operations);
    let joined = flows.iter().copied().flat_map(points);
    let joined: HashSet<_> = joined.map(std::ptr::from_ref).collect();
    for moment in &run.moments {
        let what = json!({
            "name": moment.words(), "cat": moment.site.owner,
            "args": { "function": moment.site.function, "place": moment.site.place },
        });
        let begin = moment.time();
        let shortest = match joined.contains(&std::ptr::from_ref(moment)) {
            true => begin.saturating_add(POINT),
            false => begin,
        };
        let end = moment.until().unwrap_or(begin).max(shortest);
        match end > begin {
            true => lanes.add(&moment.lane(), Slice::new(begin, end, what)),
            false => instants.push((moment.lane(), begin, what)),
        }
    }
    for operation in &operations {
        let (begin, end) = (operation.fetched.time(), operation.completed.time());
        let what = json!({ "name": operation.words(), "cat": "operation" });
        let end = end.max(begin.saturating_add(POINT));
        lanes.add(&copies(operation), Slice::new(begin, end, what));
    }
    let mut events = Vec::new();
    let mut placed = lanes.place(&mut events, zero);
    for (lane, time, mut event) in instants {
        complete(
            &mut event,
            "i",
            placed.first(&lane),
            microseconds(time, zero),
        );
        set(&mut event, "s", "t".into());
        events.push(event);
    }
    for (id, operation) in (1u32..).zip(flows) {
        flow(&mut events, operation, id, |lane, time| {
            (placed.at(lane, time), microseconds(time, zero))
        });
    }
    if events.is_empty() {
        return Ok(None);
    }
    events.extend(placed.names());
    let file = json!({ "displayTimeUnit": "ns", "traceEvents": events });
    Ok(Some(serde_json::to_string(&file)?))
}

/// Returns the time of the first case, or of the first moment.
fn zero(run: &Run) -> u64 {
    let cases = run.cases.iter().map(|case| case.begin);
    let moments = run.moments.iter().map(Moment::time);
    cases.chain(moments).min().unwrap_or_default()
}

/// Converts a time to the unit of the format.
fn microseconds(time: u64, zero: u64) -> f64 {
    time.saturating_sub(zero) as f64 / 1000.0
}

/// Returns the lane with the copies of an operation's queue.
fn copies(operation: &Operation<'_>) -> String {
    match &operation.fetched.what {
        Happening::Event(event) => match event.what {
            What::Descriptor { queue, .. } => format!("queue {queue}"),
            _ => "queue".to_owned(),
        },
        _ => "queue".to_owned(),
    }
}

/// Returns the operations that have a flow: the first ones of each case.
fn flows<'a, 'b>(operations: &'b [Operation<'a>]) -> Vec<&'b Operation<'a>> {
    let mut of_case = BTreeMap::<usize, usize>::new();
    let few = |operation: &&Operation<'_>| {
        let count = of_case.entry(operation.fetched.case).or_default();
        *count += 1;
        *count <= FLOWS
    };
    operations.iter().filter(few).collect()
}

/// Returns the moments that a flow joins besides the copy.
fn points<'a>(operation: &Operation<'a>) -> impl Iterator<Item = &'a Moment> {
    let points = [
        operation.rung,
        operation.kicked,
        operation.interrupt,
        operation.answered,
        operation.seen,
    ];
    points.into_iter().flatten()
}

/// Adds the flow of an operation: one event at each step, in the order of time.
fn flow(
    events: &mut Vec<Value>,
    operation: &Operation<'_>,
    id: u32,
    place: impl Fn(&str, u64) -> (usize, f64),
) {
    let mut steps: Vec<_> = points(operation)
        .map(|moment| (moment.time(), moment.lane()))
        .collect();
    steps.push((operation.fetched.time(), copies(operation)));
    steps.sort();
    steps.dedup();
    let last = steps.len().saturating_sub(1);
    if last == 0 {
        return;
    }
    for (number, (time, lane)) in steps.iter().enumerate() {
        let (track, at) = place(lane, *time);
        let mut event = json!({ "name": "operation", "cat": "cause", "id": id });
        let kind = match number {
            0 => "s",
            _ if number == last => "f",
            _ => "t",
        };
        complete(&mut event, kind, track, at);
        // Binds it to the slice around it. Otherwise readers take the next one.
        set(&mut event, "bp", "e".into());
        events.push(event);
    }
}

/// Adds the fields that all events have.
fn complete(event: &mut Value, kind: &str, track: usize, at: f64) {
    set(event, "ph", kind.into());
    set(event, "pid", PROCESS.into());
    set(event, "tid", track.into());
    set(event, "ts", at.into());
}

/// Sets a field.
fn set(event: &mut Value, key: &str, value: Value) {
    if let Value::Object(event) = event {
        event.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests;
