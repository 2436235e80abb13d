// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A run: all records by time, each with its case and the code that caused it.

use std::fs;
use std::path::Path;

use ringbar_marks::Mark;
use ringbar_records::place::Place;
use ringbar_records::record::{Access, Event, Record, Sum};
use serde::Serialize;

use crate::error::Error;
use crate::names::{Names, Site};

/// Files with records, in the folder of a run's logs.
const FILES: &[&str] = &["accesses.jsonl", "events.jsonl"];

/// Reads all records of a run and sorts them by time. Returns none if nothing was recorded.
pub(crate) fn read(logs: &Path) -> Result<Vec<Record>, Error> {
    let mut records = Vec::new();
    for path in FILES.iter().map(|name| logs.join(name)) {
        if !path.exists() {
            continue;
        }
        let text = fs::read_to_string(&path);
        let text = text.map_err(|source| Error::file("read", &path, source))?;
        for (number, line) in (1..).zip(text.lines()) {
            let record = Record::parse(line).map_err(|source| Error::Record {
                path: path.clone(),
                line: number,
                source,
            })?;
            records.push(record);
        }
    }
    records.sort_by_key(Record::time);
    Ok(records)
}

/// A recorded run.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Whether the plugin wrote its first and its last line. The file of events has neither.
    pub(crate) whole: bool,
    /// Time from which on all code was watched.
    pub(crate) armed: Option<u64>,
    /// Spans of the guest's work.
    pub(crate) cases: Vec<Case>,
    /// Phases in them, as far as the guest marked them.
    pub(crate) phases: Vec<Phase>,
    /// Accesses and events, in the order of cases.
    pub(crate) moments: Vec<Moment>,
    /// Location of the BARs in the guest's memory: number, begin, size.
    pub(crate) bars: Vec<(u32, u64, u64)>,
    /// Whether any record exists.
    pub(crate) recorded: bool,
    /// Whether the device is another one than ringbar's. No document lists its registers, and its
    /// server writes no events.
    pub(crate) other_device: bool,
    /// Index of the present phase, while records are joined.
    pub(crate) phase: Option<usize>,
}

/// A case of a test program, or the time between cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) program: String,
    pub(crate) name: String,
    pub(crate) begin: u64,
    pub(crate) end: u64,
    /// `None` if it has not ended.
    pub(crate) passed: Option<bool>,
    pub(crate) claims: Vec<String>,
}

/// A part of a case, for which the driver's README has a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Phase {
    /// Index in [`Run::cases`].
    pub(crate) case: usize,
    pub(crate) name: String,
    pub(crate) claims: Vec<String>,
}

/// An access or event, with its context.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// Index in [`Run::cases`].
    pub(crate) case: usize,
    /// Index in [`Run::phases`].
    pub(crate) phase: Option<usize>,
    pub(crate) site: Site,
    pub(crate) what: Happening,
}

/// Kinds of moments.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// The guest accessed the device.
    Access(Access),
    /// The guest accessed the device often.
    Sum(Sum),
    /// The device did something.
    Event(Event),
}

impl Run {
    /// Joins records, which are sorted by time.
    pub(crate) fn join(records: Vec<Record>, names: &Names) -> Self {
        let mut run = Self {
            recorded: !records.is_empty(),
            ..Self::default()
        };
        let (mut started, mut ended) = (0, 0);
        let mut program: Option<(String, u64)> = None;
        for record in records {
            let time = record.time();
            let place = program.as_ref().map(|(name, base)| (name.as_str(), *base));
            match record {
                Record::Start { other_device, .. } => {
                    started += 1;
                    run.other_device |= other_device;
                }
                Record::End { .. } => ended += 1,
                Record::Armed { .. } => {
                    run.armed.get_or_insert(time);
                }
                Record::Mark { text, .. } => {
                    let mark = text.parse().ok();
                    if let Some(Mark::Program { name, address }) = &mark {
                        program = Some((name.clone(), *address));
                    }
                    let name = program.as_ref().map_or("", |(name, _)| name).to_owned();
                    run.mark(mark, &name, time);
                }
                Record::Access(access) => {
                    let site = names.site(&access, place);
                    run.add(time, site, Happening::Access(access));
                }
                Record::Sum(sum) => {
                    let site = names.site_at(time, sum.pc, &[], place);
                    run.add(time, site, Happening::Sum(sum));
                }
                Record::Event(event) => {
                    let site = Site {
                        owner: "device".to_owned(),
                        ..Site::default()
                    };
                    run.add(time, site, Happening::Event(event));
                }
            }
            if let Some(case) = run.cases.last_mut() {
                case.end = case.end.max(time);
            }
        }
        run.whole = started > 0 && started == ended;
        run
    }

    /// Returns the moments of a case.
    pub(crate) fn moments_of(&self, case: usize) -> impl Iterator<Item = &Moment> {
        let begin = self.moments.partition_point(|moment| moment.case < case);
        let moments = self.moments.iter().skip(begin);
        moments.take_while(move |moment| moment.case == case)
    }

    /// Returns all accesses of the guest: moment, place, whether they are writes, count.
    pub(crate) fn accesses(&self) -> impl Iterator<Item = (&Moment, &Place, bool, u64)> {
        self.moments.iter().filter_map(|moment| match &moment.what {
            Happening::Access(access) => Some((moment, &access.place, access.write, access.count)),
            Happening::Sum(sum) => Some((moment, &sum.place, sum.write, sum.count)),
            Happening::Event(_) => None,
        })
    }

    /// Returns all writes of the guest: moment, place, count.
    pub(crate) fn writes(&self) -> impl Iterator<Item = (&Moment, &Place, u64)> {
        let writes = self.accesses().filter(|(_, _, write, _)| *write);
        writes.map(|(moment, place, _, count)| (moment, place, count))
    }

    /// Returns the timeline, one line of JSON per moment.
    pub(crate) fn lines(&self) -> Result<String, Error> {
        let mut lines = String::new();
        for moment in &self.moments {
            let line = Line {
                time: moment.time(),
                until: moment.until(),
                program: self.cases.get(moment.case).map_or("", |case| &case.program),
                case: self.cases.get(moment.case).map_or("", |case| &case.name),
                site: &moment.site,
                what: moment.words(),
                record: moment.record(),
            };
            lines.push_str(&serde_json::to_string(&line)?);
            lines.push('\n');
        }
        Ok(lines)
    }

    /// Takes a mark of the guest.
    fn mark(&mut self, mark: Option<Mark>, program: &str, time: u64) {
        match mark {
            Some(Mark::Begin { case }) => self.open(program, &case, time),
            Some(Mark::End { passed }) => {
                // A case that failed may have left a phase without a mark. The phase must not cover
                // the next case.
                self.phase = None;
                if let Some(case) = self.cases.last_mut() {
                    case.passed = Some(passed);
                    case.end = time;
                }
                self.open(program, "", time);
            }
            Some(Mark::Claim { text }) => {
                let phase = self.phase.and_then(|phase| self.phases.get_mut(phase));
                match (phase, self.cases.last_mut()) {
                    (Some(phase), _) => phase.claims.push(text),
                    (None, Some(case)) => case.claims.push(text),
                    (None, None) => {}
                }
            }
            Some(Mark::Bar {
                number,
                address,
                size,
            }) => self.bars.push((number, address, size)),
            Some(Mark::Enter { phase }) => {
                if self.cases.is_empty() {
                    self.open(program, "", time);
                }
                self.phase = Some(self.phases.len());
                self.phases.push(Phase {
                    case: self.cases.len().saturating_sub(1),
                    name: phase,
                    claims: Vec::new(),
                });
            }
            Some(Mark::Leave) => self.phase = None,
            _ => {}
        }
    }

    /// Begins a case, or the time between cases.
    fn open(&mut self, program: &str, name: &str, time: u64) {
        self.cases.push(Case {
            program: program.to_owned(),
            name: name.to_owned(),
            begin: time,
            end: time,
            ..Case::default()
        });
    }

    /// Adds a moment to the present case and phase.
    fn add(&mut self, time: u64, site: Site, what: Happening) {
        if self.cases.is_empty() {
            self.open("", "", time);
        }
        self.moments.push(Moment {
            case: self.cases.len().saturating_sub(1),
            phase: self.phase,
            site,
            what,
        });
    }
}

/// A line of the timeline.
#[derive(Serialize)]
struct Line<'a> {
    time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    program: &'a str,
    case: &'a str,
    #[serde(flatten)]
    site: &'a Site,
    what: String,
    record: Record,
}

impl Moment {
    /// Returns its time, or that of its beginning.
    pub(crate) fn time(&self) -> u64 {
        match &self.what {
            Happening::Access(access) => access.time,
            Happening::Sum(sum) => sum.time,
            Happening::Event(event) => event.time,
        }
    }

    /// Returns the time of its end, if it has a duration.
    pub(crate) fn until(&self) -> Option<u64> {
        match &self.what {
            Happening::Access(access) => access.until,
            Happening::Sum(sum) => Some(sum.until),
            Happening::Event(event) => event.duration.map(|took| event.time.saturating_add(took)),
        }
    }

    /// Returns its lane in a picture.
    pub(crate) fn lane(&self) -> String {
        match &self.what {
            Happening::Access(access) => format!("vCPU {}", access.cpu),
            Happening::Sum(_) => "sums".to_owned(),
            Happening::Event(_) => "device".to_owned(),
        }
    }

    /// Returns it in words.
    pub(crate) fn words(&self) -> String {
        match &self.what {
            Happening::Access(access) => words::access(access),
            Happening::Sum(sum) => words::sum(sum),
            Happening::Event(event) => words::event(&event.what),
        }
    }

    /// Returns it as a record.
    fn record(&self) -> Record {
        match self.what.clone() {
            Happening::Access(access) => Record::Access(access),
            Happening::Sum(sum) => Record::Sum(sum),
            Happening::Event(event) => Record::Event(event),
        }
    }
}

/// Descriptions of accesses and events.
mod words {
    use ringbar_records::place::{Place, Space};
    use ringbar_records::record::{Access, Sum, What};
    use ringbar_spec::error::ErrorCode;
    use ringbar_spec::ring::{Opcode, Status};

    /// Describes an access.
    pub(super) fn access(access: &Access) -> String {
        let value = access.value.map(|value| value.to_string());
        let times = match access.count {
            1 => String::new(),
            count => format!(", {count} times"),
        };
        format!(
            "{} {} {}{times}",
            verb(access.write),
            place(&access.place),
            transfer(access.width, value)
        )
    }

    /// Describes accesses that were only counted.
    pub(super) fn sum(sum: &Sum) -> String {
        format!(
            "{} {} to {:#x}, {} times, {} bytes",
            verb(sum.write),
            place(&sum.place),
            sum.end,
            sum.count,
            sum.bytes
        )
    }

    /// Describes an action of the device.
    pub(super) fn event(what: &What) -> String {
        match what {
            What::Register {
                place: at,
                width,
                write,
                value,
            } => {
                let value = value.map(|value| value.to_string());
                format!("{} {} {}", verb(*write), place(at), transfer(*width, value))
            }
            What::Descriptor {
                queue,
                opcode,
                tag,
                length,
            } => format!(
                "queue {queue}: descriptor {} tag {tag}, {length} bytes",
                name(
                    Opcode::ALL.iter().map(|(code, name)| (code.0, *name)),
                    *opcode
                )
            ),
            What::Completion {
                queue,
                tag,
                status,
                result,
            } => format!(
                "queue {queue}: completion tag {tag} {} result {result}",
                name(
                    Status::ALL.iter().map(|(code, name)| (code.0, *name)),
                    *status
                )
            ),
            What::Interrupt { vector } => format!("interrupt, vector {vector}"),
            What::Error { code, queue, value } => {
                let queue = queue.map(|queue| format!(" on queue {queue}"));
                format!(
                    "error {}{}, value {value}",
                    name(
                        ErrorCode::ALL.iter().map(|(code, name)| (code.0, *name)),
                        *code
                    ),
                    queue.unwrap_or_default()
                )
            }
        }
    }

    /// Describes a place in the device.
    pub(super) fn place(place: &Place) -> String {
        match place.space {
            Space::Register => place.name.clone(),
            Space::Reserved => format!("reserved {:#x}", place.offset),
            Space::Memory => format!("device memory {:#x}", place.offset),
            Space::MsixTable => format!("MSI-X table {:#x}", place.offset),
            Space::MsixPba => format!("MSI-X pending bits {:#x}", place.offset),
            Space::Config => format!("config {:#x}", place.offset),
        }
    }

    /// Returns the verb of an access.
    fn verb(write: bool) -> &'static str {
        if write {
            "write"
        } else {
            "read"
        }
    }

    /// Describes width and value.
    fn transfer(width: u32, value: Option<String>) -> String {
        match value {
            Some(value) => format!("{width} {value}"),
            None => width.to_string(),
        }
    }

    /// Returns the name of a code, or its number.
    fn name<T: PartialEq + std::fmt::Display>(
        mut names: impl Iterator<Item = (T, &'static str)>,
        code: T,
    ) -> String {
        let found = names.find(|(known, _)| *known == code);
        found.map_or_else(|| code.to_string(), |(_, name)| name.to_owned())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::options::Recorded;
    use ringbar_records::record::{Hex, What};

    /// Returns an access to a register of BAR 0.
    pub(crate) fn access(offset: u64, write: bool, value: u128) -> Access {
        Access {
            time: 1,
            cpu: 0,
            pc: Hex(0),
            callers: vec![],
            place: Place::in_bar(0, offset),
            width: 4,
            write,
            value: Some(Hex(value)),
            trapped: true,
            count: 1,
            until: None,
        }
    }

    /// Returns several accesses to a place in BAR 0.
    pub(crate) fn sum(offset: u64, write: bool, count: u64) -> Sum {
        Sum {
            time: 1,
            until: 2,
            pc: Hex(0),
            place: Place::in_bar(0, offset),
            end: offset + 4,
            write,
            trapped: false,
            count,
            bytes: 4 * count,
        }
    }

    /// Returns an event of the device.
    pub(crate) fn event(what: What) -> Happening {
        Happening::Event(Event {
            time: 1,
            duration: None,
            what,
        })
    }

    /// Returns a moment of the first case.
    pub(crate) fn moment(what: Happening) -> Moment {
        Moment {
            case: 0,
            phase: None,
            site: Site::default(),
            what,
        }
    }

    fn mark(time: u64, text: &str) -> Record {
        Record::Mark {
            time,
            cpu: 0,
            text: text.to_owned(),
        }
    }

    fn read(time: u64, pc: u128) -> Record {
        Record::Access(Access {
            time,
            pc: Hex(pc),
            ..access(0, false, 1)
        })
    }

    fn interrupt(time: u64) -> Record {
        Record::Event(Event {
            time,
            duration: None,
            what: What::Interrupt { vector: 1 },
        })
    }

    /// Joins records between the first and the last line of their writer.
    fn joined(records: Vec<Record>) -> Run {
        let start = Record::Start {
            time: 0,
            format: 1,
            writer: "test".to_owned(),
            other_device: false,
        };
        let mut all = vec![start];
        all.extend(records);
        all.push(Record::End { time: 100 });
        join(all)
    }

    fn join(records: Vec<Record>) -> Run {
        let names = Names::load(&Recorded::default(), &[]).expect("nothing to load");
        Run::join(records, &names)
    }

    /// Returns the case and the actor of each moment.
    fn told(run: &Run) -> Vec<(&str, &str)> {
        let moments = run.moments.iter();
        moments
            .map(|moment| {
                let case = &run.cases[moment.case];
                (case.name.as_str(), moment.site.owner.as_str())
            })
            .collect()
    }

    #[test]
    fn records_belong_to_the_case_in_which_they_were_made() {
        let run = joined(vec![
            read(1, 0xffff_ffff_8000_0000),
            mark(2, "program 0x1000 dma"),
            mark(3, "begin first"),
            read(4, 0x1_0004),
            interrupt(5),
            mark(6, "end passed"),
            read(7, 0x1_0004),
            mark(8, "begin second"),
            read(9, 0x1_0004),
            mark(10, "end failed"),
        ]);

        let expected = [
            ("", "kernel"),
            ("first", "dma"),
            ("first", "device"),
            ("", "dma"),
            ("second", "dma"),
        ];
        assert_eq!(told(&run), expected);
        let passed: Vec<_> = run.cases.iter().map(|case| case.passed).collect();
        assert_eq!(passed, [None, Some(true), None, Some(false), None]);
    }

    #[test]
    fn moments_of_a_case_are_those_and_no_others() {
        let run = joined(vec![
            mark(1, "begin first"),
            read(2, 0),
            read(3, 0),
            mark(4, "begin second"),
            read(5, 0),
        ]);

        let times = |case| run.moments_of(case).map(Moment::time).collect::<Vec<_>>();

        assert_eq!(
            [times(0), times(1), times(2)],
            [vec![2, 3], vec![5], vec![]]
        );
    }

    #[test]
    fn claims_belong_to_the_phase_that_lasts_or_to_the_case() {
        let run = joined(vec![
            mark(1, "begin first"),
            mark(2, "claim of the case"),
            mark(3, "enter probe"),
            mark(4, "claim of the phase"),
            read(5, 0),
            mark(6, "leave"),
            read(7, 0),
        ]);

        assert_eq!(run.cases[0].claims, ["of the case"]);
        assert_eq!(run.phases[0].claims, ["of the phase"]);
        let phases: Vec<_> = run.moments.iter().map(|moment| moment.phase).collect();
        assert_eq!(phases, [Some(0), None]);
    }

    #[test]
    fn phase_does_not_outlast_its_case() {
        let run = joined(vec![
            mark(1, "begin first"),
            mark(2, "enter probe"),
            mark(3, "end failed"),
            read(4, 0),
        ]);

        assert_eq!(run.moments[0].phase, None);
    }

    #[test]
    fn run_is_whole_with_the_last_line_of_its_writer_alone() {
        assert!(joined(vec![interrupt(1)]).whole);
        assert!(!join(vec![interrupt(1)]).whole);
        let start = Record::Start {
            time: 0,
            format: 1,
            writer: "test".to_owned(),
            other_device: false,
        };
        assert!(!join(vec![start, interrupt(1)]).whole);
    }

    #[test]
    fn timeline_has_a_line_for_each_moment() {
        let run = joined(vec![mark(1, "begin first"), read(2, 0), interrupt(3)]);

        let lines = run.lines().expect("lines");

        let parse = |line| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
        let lines: Vec<_> = lines.lines().map(parse).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["case"], "first");
        assert_eq!(lines[1]["what"], "interrupt, vector 1");
    }
}
