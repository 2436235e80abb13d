// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Executed code: which instructions ran, in which period of the guest.
//!
//! Translated code sets a counter per instruction, and so costs one store for each execution. This
//! module hands out the numbers of the counters. Code that is translated again in the same period
//! gets the same numbers.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ringbar_marks::Mark;
use ringbar_records::executed::{self, Executed, Jump, FORMAT};
use ringbar_records::record::Hex;
use thiserror::Error;

use crate::jump;
use crate::options::Options;

/// Reason for which executed code cannot be recorded.
#[derive(Debug, Error)]
#[error("cannot make {}: {source}", path.display())]
pub(crate) struct CreateError {
    path: PathBuf,
    source: io::Error,
}

/// Counters of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watched {
    /// Number of the counter that its execution sets.
    pub(crate) counter: usize,
    /// Number of the conditional jump that it is, from 1 on.
    pub(crate) jump: Option<u64>,
}

/// Recorder of executed code.
pub(crate) struct Code {
    range: Range<u64>,
    book: Mutex<Book>,
}

/// What is known so far.
struct Book {
    out: Box<dyn Write + Send>,
    periods: Vec<Period>,
    /// Counters in use.
    counters: usize,
    /// All conditional jumps. Their numbers count from 1.
    jumps: Vec<Conditional>,
}

/// A period of the guest.
#[derive(Default)]
struct Period {
    loading: bool,
    sections: BTreeMap<String, Hex>,
    /// Instructions by address.
    instructions: BTreeMap<u64, Instruction>,
}

/// An instruction.
struct Instruction {
    length: u64,
    watched: Watched,
}

/// A conditional jump with its outcomes.
struct Conditional {
    target: u64,
    behind: u64,
    taken: bool,
    passed: bool,
}

impl Code {
    /// Creates the file.
    pub(crate) fn create(options: &Options) -> Result<Self, CreateError> {
        let file = File::create(&options.out).map_err(|source| CreateError {
            path: options.out.clone(),
            source,
        })?;
        let out = Box::new(BufWriter::new(file));
        Ok(Self::new(options.range.clone(), out))
    }

    /// Starts a recorder of the code in a range of addresses.
    fn new(range: Range<u64>, out: Box<dyn Write + Send>) -> Self {
        let book = Book {
            out,
            periods: vec![Period::default()],
            counters: 0,
            jumps: Vec::new(),
        };
        Self {
            range,
            book: Mutex::new(book),
        }
    }

    /// Returns whether code at an address is watched.
    pub(crate) fn has(&self, pc: u64) -> bool {
        self.range.contains(&pc)
    }

    /// Returns the counters of an instruction that QEMU translates.
    pub(crate) fn watch(&self, pc: u64, bytes: &[u8]) -> Watched {
        let book = &mut *self.book();
        let length = bytes.len() as u64;
        let period = book.periods.last_mut();
        let known = period.as_ref().and_then(|period| {
            let instruction = period.instructions.get(&pc)?;
            (instruction.length == length).then_some(instruction.watched)
        });
        if let Some(known) = known {
            return known;
        }
        let jump = jump::decode(pc, bytes).map(|(target, behind)| {
            book.jumps.push(Conditional {
                target,
                behind,
                taken: false,
                passed: false,
            });
            book.jumps.len() as u64
        });
        let watched = Watched {
            counter: book.counters,
            jump,
        };
        book.counters = book.counters.saturating_add(1);
        if let Some(period) = period {
            let instruction = Instruction { length, watched };
            period.instructions.insert(pc, instruction);
        }
        watched
    }

    /// Notes the address at which the processor came out of a conditional jump. An interrupt may
    /// have come first. Then the address is neither of both.
    pub(crate) fn came_to(&self, jump: u64, pc: u64) {
        let mut book = self.book();
        let index = usize::try_from(jump).ok().and_then(|it| it.checked_sub(1));
        let Some(jump) = index.and_then(|index| book.jumps.get_mut(index)) else {
            return;
        };
        jump.taken |= pc == jump.target;
        jump.passed |= pc == jump.behind;
    }

    /// Takes a mark of the guest.
    pub(crate) fn mark(&self, text: &str) {
        let mut book = self.book();
        match text.parse() {
            Ok(Mark::Load) => book.periods.push(Period {
                loading: true,
                ..Period::default()
            }),
            Ok(Mark::Section { name, address }) => book.section(name, Hex::from(address)),
            Ok(_) | Err(_) => {}
        }
    }

    /// Writes everything. `is_set` returns whether an execution has set a counter.
    pub(crate) fn finish(&self, is_set: impl Fn(usize) -> bool) {
        let mut book = self.book();
        if let Err(error) = book.write(is_set) {
            eprintln!("ringbar-plugin: cannot write executed code: {error}");
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Notes the place of a section. The first one after a load ends the period of loading.
    fn section(&mut self, name: String, address: Hex) {
        let Some(last) = self.periods.last_mut() else {
            return;
        };
        if last.loading {
            last.sections.insert(name.clone(), address);
            self.periods.push(Period::default());
        } else if let [.., before, _] = self.periods.as_mut_slice() {
            before.sections.insert(name.clone(), address);
        }
        if let Some(last) = self.periods.last_mut() {
            last.sections.insert(name, address);
        }
    }

    /// Writes all records.
    fn write(&mut self, is_set: impl Fn(usize) -> bool) -> io::Result<()> {
        let writer = concat!("ringbar-plugin ", env!("CARGO_PKG_VERSION")).to_owned();
        let start = Executed::Start {
            format: FORMAT,
            writer,
        };
        self.out.write_all(start.line()?.as_bytes())?;
        for period in &self.periods {
            let record = Executed::Period(period.record(&self.jumps, &is_set));
            self.out.write_all(record.line()?.as_bytes())?;
        }
        self.out.write_all(Executed::End {}.line()?.as_bytes())?;
        self.out.flush()
    }
}

impl Period {
    /// Returns the period's record. Instructions one behind the other are one piece.
    fn record(&self, all: &[Conditional], is_set: impl Fn(usize) -> bool) -> executed::Period {
        let mut pieces: Vec<Range<u64>> = Vec::new();
        let mut jumps = Vec::new();
        for (pc, Instruction { length, watched }) in &self.instructions {
            if !is_set(watched.counter) {
                continue;
            }
            let end = pc.wrapping_add(*length);
            match pieces.last_mut() {
                Some(last) if last.end == *pc => last.end = end,
                _ => pieces.push(*pc..end),
            }
            let index = watched.jump.and_then(|jump| usize::try_from(jump).ok());
            let jump = index.and_then(|index| all.get(index.checked_sub(1)?));
            jumps.extend(jump.map(|jump| Jump {
                at: Hex::from(*pc),
                taken: jump.taken,
                passed: jump.passed,
            }));
        }
        let hex = |piece: Range<u64>| (Hex::from(piece.start), Hex::from(piece.end));
        executed::Period {
            loading: self.loading,
            sections: self.sections.clone(),
            executed: pieces.into_iter().map(hex).collect(),
            jumps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Arc;

    /// Memory that stands for the file.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("memory").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A recorder, and the counters that its code has set.
    struct Fixture {
        code: Code,
        sink: Sink,
        set: HashSet<usize>,
    }

    impl Fixture {
        fn new() -> Self {
            let sink = Sink::default();
            let code = Code::new(0x1000..0x2000, Box::new(sink.clone()));
            Self {
                code,
                sink,
                set: HashSet::new(),
            }
        }

        /// Translates instructions one behind the other, and executes the first ones.
        fn run(&mut self, at: u64, instructions: &[&[u8]], executed: usize) {
            let mut pc = at;
            for (number, bytes) in instructions.iter().enumerate() {
                let watched = self.code.watch(pc, bytes);
                if number < executed {
                    self.set.insert(watched.counter);
                }
                pc += bytes.len() as u64;
            }
        }

        fn periods(self) -> Vec<executed::Period> {
            self.code.finish(|counter| self.set.contains(&counter));
            let bytes = self.sink.0.lock().expect("memory").clone();
            let text = String::from_utf8(bytes).expect("text");
            let records: Vec<_> = text
                .lines()
                .map(|line| Executed::parse(line).expect("a record"))
                .collect();
            assert!(matches!(records.first(), Some(Executed::Start { .. })));
            assert!(matches!(records.last(), Some(Executed::End {})));
            let periods = records.into_iter().filter_map(|record| match record {
                Executed::Period(period) => Some(period),
                Executed::Start { .. } | Executed::End {} => None,
            });
            periods.collect()
        }
    }

    const NOP: &[u8] = &[0x90];
    const JNZ: &[u8] = &[0x75, 0xfe];

    fn pieces(period: &executed::Period) -> Vec<(u128, u128)> {
        let pieces = period.executed.iter();
        pieces.map(|(begin, end)| (begin.0, end.0)).collect()
    }

    #[test]
    fn translated_code_that_was_not_executed_is_left_out() {
        let mut fixture = Fixture::new();
        fixture.run(0x1000, &[NOP, NOP, NOP], 2);
        fixture.run(0x1010, &[NOP], 1);

        let periods = fixture.periods();

        assert_eq!(pieces(&periods[0]), [(0x1000, 0x1002), (0x1010, 0x1011)]);
    }

    #[test]
    fn code_that_is_translated_again_has_its_counter_again() {
        let fixture = Fixture::new();

        let first = fixture.code.watch(0x1000, JNZ);
        fixture.code.watch(0x1002, NOP);

        assert_eq!(fixture.code.watch(0x1000, JNZ), first);
    }

    #[test]
    fn other_code_at_the_same_place_after_a_load_is_told_apart() {
        let mut fixture = Fixture::new();
        fixture.code.mark("load");
        fixture.run(0x1000, &[NOP], 1);
        fixture.code.mark("section 0x1000 .init.text");
        fixture.code.mark("section 0x1100 .text");
        fixture.run(0x1000, &[JNZ], 0);
        fixture.run(0x1100, &[NOP], 1);

        let periods = fixture.periods();

        let [_, loading, loaded] = periods.as_slice() else {
            panic!("{periods:?}");
        };
        assert!(loading.loading && !loaded.loading);
        assert_eq!(loading.sections, loaded.sections);
        assert_eq!(loaded.sections[".text"], Hex(0x1100));
        assert_eq!(pieces(loading), [(0x1000, 0x1001)]);
        assert_eq!(pieces(loaded), [(0x1100, 0x1101)]);
    }

    #[test]
    fn each_load_has_its_own_addresses() {
        let fixture = Fixture::new();
        for address in ["0x1000", "0x1800"] {
            fixture.code.mark("load");
            fixture.code.mark(&format!("section {address} .text"));
        }

        let periods = fixture.periods();

        let of_text = |period: &executed::Period| period.sections.get(".text").map(|it| it.0);
        let places: Vec<_> = periods.iter().map(of_text).collect();
        assert_eq!(
            places,
            [None, Some(0x1000), Some(0x1000), Some(0x1800), Some(0x1800)]
        );
    }

    #[test]
    fn outcomes_of_a_jump_are_kept_and_an_interrupt_is_none() {
        let mut fixture = Fixture::new();
        fixture.run(0x1000, &[NOP, JNZ], 2);
        let jump = fixture.code.watch(0x1001, JNZ).jump.expect("a jump");

        fixture.code.came_to(jump, 0x1800);
        fixture.code.came_to(jump, 0x1001);
        let taken = fixture.periods()[0].jumps.clone();

        let expected = Jump {
            at: Hex(0x1001),
            taken: true,
            passed: false,
        };
        assert_eq!(taken, [expected]);
    }

    #[test]
    fn code_outside_of_the_range_is_not_watched() {
        let code = Fixture::new().code;

        assert_eq!(
            [0xfff, 0x1000, 0x2000].map(|pc| code.has(pc)),
            [false, true, false]
        );
    }

    #[test]
    fn full_disk_ends_recording_and_not_the_guest() {
        let options = Options::parse(["out=/dev/full", "record=code"]).expect("options");
        let code = Code::create(&options).expect("a recorder");

        code.finish(|_| true);
    }
}
