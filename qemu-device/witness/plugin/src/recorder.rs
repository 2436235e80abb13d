// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Selection and output of records.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ringbar_marks::Mark;
use ringbar_records::place::{Place, Space};
use ringbar_records::record::{Access, Hex, Record, Sum, FORMAT};
use ringbar_records::register_names::{RegisterNames, WrongLine};
use thiserror::Error;

use crate::clock;
use crate::config::{PortInstruction, Ports};
use crate::map::{Map, Seen};
use crate::options::Options;

/// Accesses of one instruction to one word of memory that are written; further ones are summed up.
/// Otherwise polling would fill the disk. Trapped accesses are slow enough to be written, all of
/// them.
const WRITTEN: u64 = 500;

/// Instruction of an access, and its likely callers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Code {
    pub(crate) cpu: u32,
    pub(crate) pc: u64,
    pub(crate) callers: Vec<u64>,
}

/// Direction, width and value of an access.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) width: u32,
    pub(crate) write: bool,
    pub(crate) value: Option<u128>,
}

impl Transfer {
    /// Returns the part of the transfer that moves these of its bytes.
    pub(crate) fn part(self, bytes: Range<u32>) -> Self {
        let width = bytes.end.saturating_sub(bytes.start);
        let cut = |value: u128| {
            let value = value.checked_shr(bytes.start.saturating_mul(8));
            let unused = 128u32.saturating_sub(width.saturating_mul(8));
            value.unwrap_or_default() & u128::MAX.checked_shr(unused).unwrap_or_default()
        };
        Self {
            width,
            value: self.value.map(cut),
            ..self
        }
    }
}

/// Request of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Arm,
    Disarm,
}

/// Reason for which nothing can be recorded.
#[derive(Debug, Error)]
pub(crate) enum CreateError {
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{}, {source}", path.display())]
    Names { path: PathBuf, source: WrongLine },
}

/// Reads the names of registers.
fn names(path: &Path) -> Result<RegisterNames, CreateError> {
    let text = fs::read_to_string(path).map_err(|source| CreateError::File {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    RegisterNames::parse(&text).map_err(|source| CreateError::Names {
        path: path.to_owned(),
        source,
    })
}

/// Recorder of the guest's accesses and marks.
pub(crate) struct Recorder {
    map: Map,
    ports: Ports,
    book: Mutex<Book>,
}

impl Recorder {
    /// Reads the names of the registers, creates the file and writes its first line.
    pub(crate) fn create(options: &Options) -> Result<Self, CreateError> {
        let names = options.registers.as_deref().map(names).transpose()?;
        let file = File::create(&options.out).map_err(|source| CreateError::File {
            action: "make",
            path: options.out.clone(),
            source,
        })?;
        Ok(Self::new(options, names, Box::new(file)))
    }

    /// Starts a recorder that writes to `out`.
    fn new(options: &Options, names: Option<RegisterNames>, out: Box<dyn Write + Send>) -> Self {
        let map = Map::new(options.function, &options.socket, names);
        let mut book = Book {
            out: Some(BufWriter::new(out)),
            last: HashMap::new(),
            sums: HashMap::new(),
            written: HashMap::new(),
        };
        book.write(&Record::Start {
            time: clock::now(),
            format: FORMAT,
            writer: concat!("ringbar-plugin ", env!("CARGO_PKG_VERSION")).to_owned(),
            other_device: map.is_of_other_device(),
        });
        Self {
            map,
            ports: Ports::new(options.function),
            book: Mutex::new(book),
        }
    }

    /// Returns whether memory at a guest-physical address belongs to the device. It is called for
    /// every load and store.
    pub(crate) fn is_device_memory(&self, address: u64) -> bool {
        self.map.has(address)
    }

    /// Returns the place in the device of an access, if it goes there.
    pub(crate) fn find(&self, seen: Seen<'_>) -> Option<Place> {
        self.map.find(seen)
    }

    /// Returns the place in configuration space of an access to an I/O port, if it goes there.
    pub(crate) fn find_port(
        &self,
        instruction: PortInstruction,
        port: u16,
        value: u32,
    ) -> Option<Place> {
        let offset = self.ports.access(instruction, port, value)?;
        Some(Place::in_config(offset))
    }

    /// Records an access.
    pub(crate) fn access(&self, code: Code, place: Place, transfer: Transfer, trapped: bool) {
        self.book().access(Access {
            time: clock::now(),
            cpu: code.cpu,
            pc: Hex::from(code.pc),
            callers: code.callers.into_iter().map(Hex::from).collect(),
            place,
            width: transfer.width,
            write: transfer.write,
            value: transfer.value.map(Hex),
            trapped,
            count: 1,
            until: None,
        });
    }

    /// Records a mark. Returns the request in it.
    pub(crate) fn mark(&self, cpu: u32, text: &str) -> Option<Wish> {
        let mut book = self.book();
        // Accesses before the mark belong to the case before it, so they are written first.
        book.settle();
        book.write(&Record::Mark {
            time: clock::now(),
            cpu,
            text: text.to_owned(),
        });
        match text.parse() {
            Ok(Mark::Bar {
                number,
                address,
                size,
            }) => {
                self.map.set_bar(number, address, size);
                None
            }
            Ok(Mark::Arm) => Some(Wish::Arm),
            Ok(Mark::Disarm) => Some(Wish::Disarm),
            Ok(_) | Err(_) => None,
        }
    }

    /// Records that all code is watched from now on.
    pub(crate) fn armed(&self) {
        self.book().write(&Record::Armed { time: clock::now() });
    }

    /// Writes the remaining records and the last line.
    pub(crate) fn finish(&self) {
        let mut book = self.book();
        book.settle();
        book.write(&Record::End { time: clock::now() });
        book.flush();
    }

    /// Locks the book.
    fn book(&self) -> MutexGuard<'_, Book> {
        // A panic ends the process, so the lock is never poisoned.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Key of equal accesses: one instruction, to one place or to device memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Doing {
    pc: Hex,
    space: Space,
    offset: Option<u64>,
    write: bool,
}

/// The file, and the records not yet written.
struct Book {
    /// `None` once writing has failed.
    out: Option<BufWriter<Box<dyn Write + Send>>>,
    /// Last access of each vCPU. The next one may be equal.
    last: HashMap<u32, Access>,
    sums: HashMap<Doing, Sum>,
    written: HashMap<Doing, u64>,
}

impl Book {
    /// Takes an access: counts it, sums it up, or keeps it as the last one.
    fn access(&mut self, access: Access) {
        let memory = access.place.space == Space::Memory;
        let doing = Doing {
            pc: access.pc,
            space: access.place.space,
            offset: (!memory).then_some(access.place.offset),
            write: access.write,
        };
        if memory {
            return self.sum(doing, &access);
        }
        let last = self.last.get_mut(&access.cpu);
        if let Some(last) = last.filter(|last| is_same(last, &access)) {
            last.count = last.count.saturating_add(1);
            last.until = Some(access.time);
            return;
        }
        self.write_last(access.cpu);
        if !access.trapped {
            let written = self.written.entry(doing.clone()).or_default();
            *written = written.saturating_add(1);
            if *written > WRITTEN {
                return self.sum(doing, &access);
            }
        }
        self.last.insert(access.cpu, access);
    }

    /// Adds an access to the sum of its kind.
    fn sum(&mut self, doing: Doing, access: &Access) {
        let end = access.place.offset.saturating_add(access.width.into());
        let sum = self.sums.entry(doing).or_insert_with(|| Sum {
            time: access.time,
            until: access.time,
            pc: access.pc,
            place: access.place.clone(),
            end,
            write: access.write,
            trapped: access.trapped,
            count: 0,
            bytes: 0,
        });
        sum.until = access.time;
        sum.end = sum.end.max(end);
        if access.place.offset < sum.place.offset {
            sum.place = access.place.clone();
        }
        sum.count = sum.count.saturating_add(1);
        sum.bytes = sum.bytes.saturating_add(access.width.into());
    }

    /// Writes all kept accesses and sums.
    fn settle(&mut self) {
        let mut last: Vec<_> = self.last.drain().map(|(_, access)| access).collect();
        last.sort_by_key(|access| access.time);
        for access in last {
            self.write(&Record::Access(access));
        }
        let mut sums: Vec<_> = self.sums.drain().map(|(_, sum)| sum).collect();
        sums.sort_by_key(|sum| (sum.time, sum.pc));
        for sum in sums {
            self.write(&Record::Sum(sum));
        }
    }

    /// Writes the last access of a vCPU.
    fn write_last(&mut self, cpu: u32) {
        if let Some(access) = self.last.remove(&cpu) {
            self.write(&Record::Access(access));
        }
    }

    /// Writes a record.
    fn write(&mut self, record: &Record) {
        let Some(out) = &mut self.out else { return };
        let line = record.line().map_err(io::Error::from);
        if let Err(error) = line.and_then(|line| out.write_all(line.as_bytes())) {
            self.give_up(&error);
        }
    }

    /// Writes the buffer to the file.
    fn flush(&mut self) {
        if let Some(Err(error)) = self.out.as_mut().map(BufWriter::flush) {
            self.give_up(&error);
        }
    }

    /// Ends the recording, not the guest. Readers notice the missing last line.
    fn give_up(&mut self, error: &io::Error) {
        eprintln!("ringbar-plugin: cannot write records: {error}");
        self.out = None;
    }
}

/// Returns whether an access equals the one before it, so that only its count grows.
fn is_same(last: &Access, access: &Access) -> bool {
    last.pc == access.pc
        && last.place == access.place
        && last.width == access.width
        && last.write == access.write
        && last.value == access.value
        && last.trapped == access.trapped
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        recorder: Recorder,
        file: tempfile::NamedTempFile,
    }

    fn fixture() -> Fixture {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let out = format!("out={}", file.path().display());
        let options = Options::parse([out.as_str()]).expect("options");
        let recorder = Recorder::create(&options).expect("a recorder");
        Fixture { recorder, file }
    }

    impl Fixture {
        fn access(&self, pc: u64, place: &Place, value: u128, trapped: bool) {
            let code = Code {
                pc,
                ..Code::default()
            };
            let transfer = Transfer {
                width: 4,
                write: false,
                value: Some(value),
            };
            self.recorder.access(code, place.clone(), transfer, trapped);
        }

        fn records(self) -> Vec<Record> {
            self.recorder.finish();
            let text = std::fs::read_to_string(self.file.path()).expect("the file");
            let records = text.lines().map(Record::parse);
            records.collect::<Result<_, _>>().expect("records")
        }

        fn accesses(self) -> Vec<(u128, u64)> {
            let records = self.records().into_iter();
            records
                .filter_map(|record| match record {
                    Record::Access(access) => Some((access.value?.0, access.count)),
                    _ => None,
                })
                .collect()
        }
    }

    #[test]
    fn file_has_a_first_and_a_last_line() {
        let records = fixture().records();

        assert!(matches!(records.first(), Some(Record::Start { .. })));
        assert!(matches!(records.last(), Some(Record::End { .. })));
    }

    #[test]
    fn same_access_in_a_row_is_one_record_with_a_count() {
        let fixture = fixture();
        let place = Place::in_bar(0, 0);
        for value in [1, 1, 1, 2, 1] {
            fixture.access(0x10, &place, value, true);
        }

        assert_eq!(fixture.accesses(), [(1, 3), (2, 1), (1, 1)]);
    }

    #[test]
    fn part_of_a_transfer_has_its_bytes() {
        let whole = Transfer {
            width: 8,
            write: true,
            value: Some(0x0807_0605_0403_0201),
        };

        let parts = [0..3, 3..8].map(|bytes| whole.part(bytes));

        let parts = parts.map(|part| (part.width, part.write, part.value));
        assert_eq!(
            parts,
            [(3, true, Some(0x03_0201)), (5, true, Some(0x08_0706_0504))]
        );
    }

    #[test]
    fn trapped_accesses_are_all_written() {
        let fixture = fixture();
        let place = Place::in_bar(0, 0x20);
        for value in 0..u128::from(WRITTEN) * 2 {
            fixture.access(0x10, &place, value, true);
        }

        assert_eq!(fixture.accesses().len() as u64, WRITTEN * 2);
    }

    #[test]
    fn polling_of_memory_is_summed_up_after_a_while() {
        let fixture = fixture();
        let place = Place::in_bar(0, 0xc0_0000);
        for value in 0..u128::from(WRITTEN) + 5 {
            fixture.access(0x10, &place, value, false);
        }

        let records = fixture.records();
        let sums: Vec<_> = records
            .iter()
            .filter_map(|record| match record {
                Record::Sum(sum) => Some((sum.count, sum.place.name.as_str())),
                _ => None,
            })
            .collect();
        assert_eq!(sums, [(5, "completion_tail[0]")]);
        assert_eq!(records.len() as u64, WRITTEN + 3);
    }

    #[test]
    fn accesses_to_device_memory_are_summed_up_between_marks() {
        let fixture = fixture();
        for offset in [8, 4, 12] {
            fixture.access(0x10, &Place::in_bar(2, offset), 0, false);
        }
        fixture.recorder.mark(0, "end passed");
        fixture.access(0x10, &Place::in_bar(2, 0), 0, false);

        let records = fixture.records();
        let sums: Vec<_> = records
            .iter()
            .filter_map(|record| match record {
                Record::Sum(sum) => Some((sum.count, sum.place.offset, sum.end, sum.bytes)),
                _ => None,
            })
            .collect();
        assert_eq!(sums, [(3, 4, 16, 12), (1, 0, 4, 4)]);
    }

    #[test]
    fn mark_comes_after_the_accesses_before_it() {
        let fixture = fixture();
        fixture.access(0x10, &Place::in_bar(0, 0), 1, true);
        fixture.recorder.mark(1, "begin x");

        let records = fixture.records();

        assert!(matches!(records.get(1), Some(Record::Access(_))));
        assert!(matches!(records.get(2), Some(Record::Mark { cpu: 1, .. })));
    }

    #[test]
    fn mark_of_a_bar_locates_the_device() {
        let fixture = fixture();

        fixture.recorder.mark(0, "bar 2 0x3800000000 0x1000000");

        assert!(fixture.recorder.is_device_memory(0x38_0000_1000));
    }

    #[test]
    fn mark_to_arm_is_a_wish_and_an_unknown_one_is_none() {
        let fixture = fixture();

        assert_eq!(fixture.recorder.mark(0, "arm"), Some(Wish::Arm));
        assert_eq!(fixture.recorder.mark(0, "disarm"), Some(Wish::Disarm));
        assert_eq!(fixture.recorder.mark(0, "hello"), None);
    }

    #[test]
    fn names_that_cannot_be_read_are_told_with_file_and_line() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "0 0x0 A\n0 4 B\n").expect("written");
        let registers = format!("registers={}", file.path().display());
        let options = Options::parse(["out=/dev/null", &registers]).expect("options");

        let error = Recorder::create(&options).err().expect("refused");

        let begin = format!("{}, line 2, \"0 4 B\": ", file.path().display());
        assert!(error.to_string().starts_with(&begin), "{error}");
    }

    #[test]
    fn full_disk_ends_recording_and_not_the_guest() {
        let options = Options::parse(["out=/dev/full"]).expect("options");
        let recorder = Recorder::create(&options).expect("a recorder");

        recorder.finish();
        recorder.mark(0, "arm");
    }
}
