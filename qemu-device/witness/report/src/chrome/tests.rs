// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tests by the rules of the format, as Perfetto publishes them.

use super::*;
use crate::run::tests::{access, moment, sum};
use crate::run::Case;
use proptest::prelude::*;
use ringbar_records::place::Place;
use ringbar_records::record::{Access, Event, Hex, Sum};
use std::collections::BTreeMap;

/// A slice of a row, read back: begin and end in nanoseconds, name.
type Read = (u64, u64, String);

/// What a reader makes of a file.
#[derive(Debug, Default)]
struct Picture {
    slices: BTreeMap<u64, Vec<Read>>,
    names: BTreeMap<u64, String>,
    instants: Vec<(u64, u64)>,
    flows: BTreeMap<u64, Vec<(String, u64, u64)>>,
}

impl Picture {
    /// Returns the number of the row with this name.
    fn row(&self, name: &str) -> u64 {
        let mut rows = self.names.iter().filter(|(_, row)| *row == name);
        *rows
            .next()
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.names))
            .0
    }
}

/// Reads a file by the rules. Fails where a reader would drop, move or refuse an event.
fn picture(run: &Run) -> Picture {
    let text = timeline(run).expect("a timeline").expect("events");
    let file: Value = serde_json::from_str(&text).expect("JSON");
    let mut picture = Picture::default();
    let mut open: BTreeMap<u64, Vec<(u64, String)>> = BTreeMap::new();
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    for event in file["traceEvents"].as_array().expect("a list") {
        assert_eq!(event["pid"], PROCESS, "{event}");
        let row = event["tid"].as_u64().expect("a row");
        let kind = event["ph"].as_str().expect("a kind");
        if kind == "M" {
            if event["name"] == "thread_name" {
                let name = event["args"]["name"].as_str().expect("a name").to_owned();
                assert_eq!(picture.names.insert(row, name), None, "{event}");
            }
            continue;
        }
        let at = (event["ts"].as_f64().expect("a time") * 1000.0).round() as u64;
        let name = format!(
            "{} {}",
            event["name"].as_str().expect("a name"),
            event["args"]
        );
        let stack = open.entry(row).or_default();
        match kind {
            "B" | "E" => {
                let before = last.insert(row, at).unwrap_or_default();
                assert!(before <= at, "{event} goes back from {before}");
                if kind == "B" {
                    stack.push((at, name));
                } else {
                    let (begin, first) = stack.pop().expect("an end has a begin");
                    assert_eq!(first, name, "speedscope joins them by name and arguments");
                    picture
                        .slices
                        .entry(row)
                        .or_default()
                        .push((begin, at, name));
                }
            }
            "i" => picture.instants.push((row, at)),
            "s" | "t" | "f" => {
                assert_eq!(event["bp"], "e", "{event}");
                let id = event["id"].as_u64().expect("an id");
                picture
                    .flows
                    .entry(id)
                    .or_default()
                    .push((kind.to_owned(), row, at));
            }
            _ => panic!("{event}"),
        }
    }
    assert!(open.values().all(Vec::is_empty), "{open:?}");
    check_rows(&picture);
    check_flows(&picture);
    check_as_perfetto_reads(file["traceEvents"].as_array().expect("a list"));
    picture
}

/// Reads events as Perfetto does: with times cut off to nanoseconds, in the order of time, and in
/// that of the file where times are equal. A slice must end after those in it, and a flow needs a
/// slice that is open.
fn check_as_perfetto_reads(events: &[Value]) {
    let time = |event: &&Value| (event["ts"].as_f64().unwrap_or_default() * 1000.0) as u64;
    let mut sorted: Vec<_> = events.iter().collect();
    sorted.sort_by_key(time);
    let mut open: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
    for event in sorted {
        let row = open
            .entry(event["tid"].as_u64().expect("a row"))
            .or_default();
        match event["ph"].as_str().expect("a kind") {
            "B" => row.push(event),
            "E" => {
                let begin = row.pop().expect("an end has a begin");
                assert_eq!(begin["name"], event["name"], "{begin} {event}");
            }
            "s" | "t" | "f" => assert!(!row.is_empty(), "no slice is open for {event}"),
            _ => (),
        }
    }
}

/// Checks that each row has a name of its own, and that its slices lie apart or in each other.
fn check_rows(picture: &Picture) {
    let mut names: Vec<_> = picture.names.values().collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), picture.names.len());
    for (row, slices) in &picture.slices {
        assert!(picture.names.contains_key(row), "row {row} has no name");
        for (number, (begin, end, name)) in slices.iter().enumerate() {
            for (other, until, second) in slices.iter().skip(number + 1) {
                let apart = end <= other || until <= begin;
                let inside = (other <= begin && end <= until) || (begin <= other && until <= end);
                assert!(apart || inside, "{name} and {second} overlap");
            }
        }
    }
    for (row, _) in &picture.instants {
        assert!(picture.names.contains_key(row), "row {row} has no name");
    }
}

/// Checks that each flow begins once, ends once, goes forward, and is in a slice at each step.
fn check_flows(picture: &Picture) {
    for (id, steps) in &picture.flows {
        let kinds: String = steps.iter().map(|(kind, ..)| kind.as_str()).collect();
        let middle = kinds
            .strip_prefix('s')
            .and_then(|kinds| kinds.strip_suffix('f'));
        assert!(
            middle.is_some_and(|kinds| kinds.bytes().all(|kind| kind == b't')),
            "{id}: {kinds}"
        );
        assert!(steps.is_sorted_by_key(|(_, _, at)| *at), "{steps:?}");
        for (_, row, at) in steps {
            let slices = picture.slices.get(row).into_iter().flatten();
            let around = slices
                .filter(|(begin, end, _)| begin <= at && at < end)
                .count();
            assert!(around > 0, "flow {id} is in no slice of row {row} at {at}");
        }
    }
}

/// Returns a run with one case from 1 to 9 µs that contains these.
fn run(what: Vec<Happening>) -> Run {
    Run {
        cases: vec![Case {
            name: "first".to_owned(),
            begin: 1000,
            end: 9000,
            ..Case::default()
        }],
        moments: what.into_iter().map(moment).collect(),
        ..Run::default()
    }
}

fn at(time: u64, offset: u64, write: bool, value: u128) -> Happening {
    Happening::Access(Access {
        time,
        place: Place::in_bar(0, offset),
        ..access(0, write, value)
    })
}

fn event(time: u64, what: What) -> Happening {
    Happening::Event(Event {
        time,
        duration: None,
        what,
    })
}

fn summed(time: u64, until: u64) -> Happening {
    Happening::Sum(Sum {
        time,
        until,
        ..sum(0, false, 2)
    })
}

/// Returns a descriptor of a queue and its completion.
fn operation(queue: u16, from: u64, to: u64) -> [Happening; 2] {
    let tag = Hex(7);
    let fetched = What::Descriptor {
        queue,
        opcode: 1,
        tag,
        length: 64,
    };
    let completed = What::Completion {
        queue,
        tag,
        status: 0,
        result: Hex(0),
    };
    [event(from, fetched), event(to, completed)]
}

#[test]
fn case_lasts_from_its_begin_to_its_end() {
    let picture = picture(&run(vec![]));

    let cases = &picture.slices[&picture.row("cases")];
    assert_eq!(
        *cases,
        [(0, 8000, r#"first {"passed":null,"program":""}"#.to_owned())]
    );
}

#[test]
fn durations_have_a_length_and_moments_have_none() {
    let one = Access {
        time: 3000,
        ..access(0, false, 1)
    };
    let several = Access {
        until: Some(5500),
        ..one.clone()
    };

    let picture = picture(&run(vec![
        Happening::Access(one),
        Happening::Access(several),
    ]));

    let row = picture.row("vCPU 0");
    assert_eq!(picture.instants, [(row, 2000)]);
    let [(begin, end, _)] = picture.slices[&row].as_slice() else {
        panic!("{picture:?}");
    };
    assert_eq!((*begin, *end), (2000, 4500));
}

#[test]
fn processors_device_and_sums_have_lanes_of_their_own() {
    let second = Access {
        cpu: 1,
        ..access(0, false, 1)
    };
    let what = vec![
        Happening::Access(access(0, false, 1)),
        Happening::Access(second),
        event(2, What::Interrupt { vector: 1 }),
        summed(2, 9),
    ];

    let picture = picture(&run(what));

    for name in ["cases", "vCPU 0", "vCPU 1", "device", "sums"] {
        picture.row(name);
    }
    assert_eq!(picture.names.len(), 5);
}

#[test]
fn slices_that_overlap_have_rows_of_their_own_and_inner_ones_have_not() {
    let picture = picture(&run(vec![
        summed(1000, 5000),
        summed(2000, 3000),
        summed(4000, 6000),
        summed(5000, 7000),
    ]));

    let times = |name: &str| -> Vec<_> {
        let slices = picture.slices[&picture.row(name)].iter();
        slices.map(|(begin, end, _)| (*begin, *end)).collect()
    };
    assert_eq!(times("sums"), [(1000, 2000), (0, 4000), (4000, 6000)]);
    assert_eq!(times("sums (2)"), [(3000, 5000)]);
}

#[test]
fn flow_leads_from_the_doorbell_to_the_copy_the_interrupt_and_the_access_that_sees_it() {
    let [fetched, completed] = operation(0, 3000, 5000);
    let picture = picture(&run(vec![
        at(1000, 0x80_0000, true, 1),
        at(2000, 0x3f_0000, true, 1),
        fetched,
        completed,
        event(6000, What::Interrupt { vector: 1 }),
        at(7000, 0xc0_0000, false, 1),
    ]));

    let steps: Vec<_> = picture.flows[&1]
        .iter()
        .map(|(kind, row, at)| (kind.as_str(), picture.names[row].as_str(), *at))
        .collect();
    assert_eq!(
        steps,
        [
            ("s", "vCPU 0", 0),
            ("t", "vCPU 0", 1000),
            ("t", "queue 0", 2000),
            ("t", "device", 5000),
            ("f", "vCPU 0", 6000),
        ]
    );
    let copies = &picture.slices[&picture.row("queue 0")];
    assert_eq!((copies[0].0, copies[0].1), (2000, 4000));
}

#[test]
fn flow_at_a_time_that_perfetto_cuts_off_has_a_slice() {
    // 16.002 times 1000 is less than 16,002, as `f64`.
    for time in 16_000..16_100 {
        let [fetched, completed] = operation(0, 19_000, 20_000);

        let picture = picture(&run(vec![
            at(1000 + time, 0x80_0000, true, 1),
            fetched,
            completed,
        ]));

        assert_eq!(picture.flows.len(), 1, "{time}");
    }
}

#[test]
fn operation_without_a_known_cause_has_no_flow() {
    let picture = picture(&run(operation(3, 3000, 5000).into()));

    assert!(picture.flows.is_empty());
    picture.row("queue 3");
}

#[test]
fn operations_beyond_the_limit_of_a_case_have_a_slice_and_no_flow() {
    let mut what = Vec::new();
    for number in 0..300 {
        let from = 1000 + 10 * number;
        what.push(at(from, 0x80_0000, true, number.into()));
        what.extend(operation(0, from + 2, from + 5));
    }

    let picture = picture(&run(what));

    assert_eq!(picture.slices[&picture.row("queue 0")].len(), 300);
    assert_eq!(picture.flows.len(), FLOWS);
}

#[test]
fn run_without_records_has_no_trace() {
    assert_eq!(timeline(&Run::default()).expect("no timeline"), None);
}

/// Returns moments of two processors and several queues, in the order of time.
fn any_moments() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        (
            0u32..2,
            0u64..3,
            any::<bool>(),
            proptest::option::of(0u64..50)
        )
            .prop_map(|(cpu, queue, write, lasts)| {
                let offset = if write { 0x80_0000 } else { 0xc0_0000 } + queue * 0x1_0000;
                (
                    lasts,
                    Happening::Access(Access {
                        cpu,
                        place: Place::in_bar(0, offset),
                        ..access(0, write, u128::from(lasts.unwrap_or(1)))
                    }),
                )
            }),
        (0u64..60).prop_map(|lasts| (Some(lasts), summed(0, 0))),
        (0u16..3, 0u64..9).prop_map(|(queue, _)| (None, {
            let [fetched, _] = operation(queue, 0, 0);
            fetched
        })),
        (0u16..3, 0u64..9).prop_map(|(queue, _)| (None, {
            let [_, completed] = operation(queue, 0, 0);
            completed
        })),
        (0u16..3).prop_map(|vector| (None, event(0, What::Interrupt { vector }))),
    ];
    proptest::collection::vec((0u64..20, one), 0..60).prop_map(|all| {
        let mut now = 1000;
        all.into_iter()
            .map(|(later, (lasts, mut what))| {
                now += later;
                match &mut what {
                    Happening::Access(access) => {
                        access.time = now;
                        access.until = lasts.map(|lasts| now + lasts);
                    }
                    Happening::Sum(sum) => {
                        (sum.time, sum.until) = (now, now + lasts.unwrap_or_default())
                    }
                    Happening::Event(event) => event.time = now,
                }
                what
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn any_run_of_two_processors_and_several_queues_keeps_the_rules(what in any_moments()) {
        picture(&run(what));
    }
}
