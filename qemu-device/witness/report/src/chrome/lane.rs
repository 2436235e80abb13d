// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Lanes of the timeline: slices that lie in each other or apart.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{json, Value};

use super::{complete, microseconds, PROCESS};

/// A thing that takes a time.
#[derive(Debug)]
pub(super) struct Slice {
    begin: u64,
    end: u64,
    what: Value,
}

impl Slice {
    /// Makes a slice. One that ends before it begins has no length.
    pub(super) fn new(begin: u64, end: u64, what: Value) -> Self {
        let end = end.max(begin);
        Self { begin, end, what }
    }
}

/// Slices by the name of their lane, lanes in the order of their appearance.
#[derive(Debug, Default)]
pub(super) struct Lanes(Vec<(String, Vec<Slice>)>);

/// A row of the picture: a lane, or a further row of a lane whose slices overlap.
#[derive(Debug)]
struct Track {
    name: String,
    /// Begins of all slices, in order.
    begins: Vec<u64>,
    /// Slices that are open, outer ones first.
    open: Vec<Slice>,
    events: Vec<Value>,
}

/// Rows with their numbers.
#[derive(Debug)]
pub(super) struct Placed {
    tracks: Vec<Track>,
    /// Numbers of the rows of each lane.
    lanes: BTreeMap<String, Vec<usize>>,
}

impl Lanes {
    /// Adds a slice to a lane.
    pub(super) fn add(&mut self, lane: &str, slice: Slice) {
        match self.0.iter_mut().find(|(name, _)| name == lane) {
            Some((_, slices)) => slices.push(slice),
            None => self.0.push((lane.to_owned(), vec![slice])),
        }
    }

    /// Gives each slice a row in which it overlaps no other one, and adds its begin and its end to
    /// `events`.
    pub(super) fn place(self, events: &mut Vec<Value>, zero: u64) -> Placed {
        let mut placed = Placed {
            tracks: Vec::new(),
            lanes: BTreeMap::new(),
        };
        for (lane, mut slices) in self.0 {
            slices.sort_by_key(|slice| (slice.begin, Reverse(slice.end)));
            let first = placed.tracks.len();
            for slice in slices {
                let tracks = placed.tracks.get_mut(first..).unwrap_or_default();
                let number = match tracks.iter().position(|track| track.has_room(&slice)) {
                    Some(place) => first.saturating_add(place),
                    None => placed.new_track(&lane),
                };
                if let Some(track) = placed.tracks.get_mut(number) {
                    track.push(slice, number, zero);
                }
            }
        }
        for (number, track) in placed.tracks.iter_mut().enumerate() {
            track.close(u64::MAX, number, zero);
            events.append(&mut track.events);
        }
        placed
    }
}

impl Track {
    /// Returns whether a slice that begins later than all others lies in the open ones, or after.
    fn has_room(&self, slice: &Slice) -> bool {
        let mut around = self.open.iter().rev();
        let inner = around.find(|open| open.end > slice.begin);
        inner.is_none_or(|open| open.end >= slice.end)
    }

    /// Adds a slice, and the ends of those before it.
    fn push(&mut self, slice: Slice, number: usize, zero: u64) {
        self.close(slice.begin, number, zero);
        let mut event = slice.what.clone();
        complete(&mut event, "B", number, microseconds(slice.begin, zero));
        self.events.push(event);
        self.begins.push(slice.begin);
        self.open.push(slice);
    }

    /// Ends the slices that end at `time` or earlier.
    fn close(&mut self, time: u64, number: usize, zero: u64) {
        while let Some(slice) = self.open.pop_if(|slice| slice.end <= time) {
            // With name and arguments: speedscope knows the begin of an end by them.
            let mut event = slice.what;
            complete(&mut event, "E", number, microseconds(slice.end, zero));
            self.events.push(event);
        }
    }

    /// Returns whether a slice begins at this time.
    fn has(&self, time: u64) -> bool {
        self.begins.binary_search(&time).is_ok()
    }
}

impl Placed {
    /// Adds a row to a lane. Returns its number.
    fn new_track(&mut self, lane: &str) -> usize {
        let number = self.tracks.len();
        let rows = self.lanes.entry(lane.to_owned()).or_default();
        rows.push(number);
        let name = match rows.len() {
            1 => lane.to_owned(),
            row => format!("{lane} ({row})"),
        };
        self.tracks.push(Track {
            name,
            begins: Vec::new(),
            open: Vec::new(),
            events: Vec::new(),
        });
        number
    }

    /// Returns the first row of a lane, which it makes for a lane without slices.
    pub(super) fn first(&mut self, lane: &str) -> usize {
        let rows = self.lanes.get(lane).and_then(|rows| rows.first());
        match rows {
            Some(number) => *number,
            None => self.new_track(lane),
        }
    }

    /// Returns the row of a lane that has a slice from this time on.
    pub(super) fn at(&self, lane: &str, time: u64) -> usize {
        let mut rows = self.lanes.get(lane).into_iter().flatten();
        let has = |number: &&usize| {
            self.tracks
                .get(**number)
                .is_some_and(|track| track.has(time))
        };
        rows.find(has).copied().unwrap_or_default()
    }

    /// Returns the records that name the rows and keep their order.
    pub(super) fn names(&self) -> impl Iterator<Item = Value> + '_ {
        self.tracks.iter().enumerate().flat_map(|(number, track)| {
            let record = |kind: &str, args: Value| {
                json!({ "name": kind, "ph": "M", "pid": PROCESS, "tid": number, "args": args })
            };
            [
                record("thread_name", json!({ "name": track.name })),
                record("thread_sort_index", json!({ "sort_index": number })),
            ]
        })
    }
}
