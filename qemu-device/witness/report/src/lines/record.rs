// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Executed code of a run, in the layout of the module.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use ringbar_records::executed::{Executed, Period};

use super::table::Table;
use crate::error::Error;
use crate::names::address;
use crate::read as read_file;

/// File of the plugin, in the folder of a run's logs.
pub(crate) const FILE: &str = "executed.jsonl";
/// Section whose memory the kernel gives to others once the driver is loaded.
const INIT: &str = ".init.text";

/// Code of the module that a run executed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Pieces of code, by their first byte. They are apart from each other.
    pieces: BTreeMap<u64, u64>,
    /// Conditional jumps: whether they were taken, and whether they were passed.
    pub(crate) jumps: BTreeMap<u64, (bool, bool)>,
}

impl Reached {
    /// Returns whether any of this code was executed.
    pub(crate) fn has(&self, code: &Range<u64>) -> bool {
        let last = self.pieces.range(..code.end).next_back();
        last.is_some_and(|(_, end)| *end > code.start)
    }

    /// Adds a piece, and joins it with those that it touches.
    fn add(&mut self, mut piece: Range<u64>) {
        while let Some((begin, end)) = self.pieces.range(..=piece.end).next_back() {
            let (begin, end) = (*begin, *end);
            if end < piece.start {
                break;
            }
            self.pieces.remove(&begin);
            piece = begin.min(piece.start)..end.max(piece.end);
        }
        self.pieces.insert(piece.start, piece.end);
    }

    /// Adds a period, if the driver was loaded in it.
    fn add_period(&mut self, period: &Period, table: &Table) {
        for (name, loaded) in &period.sections {
            let Some((here, size)) = table.parts.get(name) else {
                continue;
            };
            if name == INIT && !period.loading {
                continue;
            }
            let loaded = address(*loaded);
            let section = loaded..loaded.saturating_add(*size);
            let place = |address: u64| here.wrapping_add(address.wrapping_sub(loaded));
            for (begin, end) in &period.executed {
                let begin = address(*begin).max(section.start);
                let end = address(*end).min(section.end);
                if begin < end {
                    self.add(place(begin)..place(end));
                }
            }
            for jump in &period.jumps {
                let at = address(jump.at);
                if section.contains(&at) {
                    let (taken, passed) = self.jumps.entry(place(at)).or_default();
                    *taken |= jump.taken;
                    *passed |= jump.passed;
                }
            }
        }
    }
}

/// Reads the file of a run. Fails if it is not whole, or if the driver was never loaded.
pub(crate) fn read(path: &Path, table: &Table) -> Result<Reached, Error> {
    parse(&read_file(path)?, table).map_err(|reason| Error::Code {
        path: path.to_owned(),
        reason,
    })
}

/// Parses the lines of a file.
fn parse(text: &str, table: &Table) -> Result<Reached, String> {
    let mut reached = Reached::default();
    let (mut is_whole, mut is_loaded) = (false, false);
    for (number, line) in (1..).zip(text.lines()) {
        match Executed::parse(line).map_err(|error| format!("line {number}: {error}"))? {
            Executed::Start { .. } => {}
            Executed::Period(period) => {
                is_loaded |= !period.sections.is_empty();
                reached.add_period(&period, table);
            }
            Executed::End {} => is_whole = true,
        }
    }
    if !is_whole {
        return Err(
            "its last line is missing: QEMU was killed before it could write it".to_owned(),
        );
    }
    if !is_loaded {
        return Err("the guest reported no place of the driver: it was not loaded".to_owned());
    }
    if reached.pieces.is_empty() {
        return Err(
            "no code of the driver was executed: the plugin watched other addresses".to_owned(),
        );
    }
    Ok(reached)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringbar_records::executed::Jump;
    use ringbar_records::record::Hex;

    /// A module with two sections.
    fn table() -> Table {
        Table {
            parts: [
                (".text".to_owned(), (0x10000, 0x100)),
                (INIT.to_owned(), (0x20000, 0x10)),
            ]
            .into(),
            ..Table::default()
        }
    }

    /// A period with the driver's sections at these addresses.
    fn period(loading: bool, text: u128, executed: &[(u128, u128)]) -> Period {
        Period {
            loading,
            sections: [
                (".text".to_owned(), Hex(text)),
                (INIT.to_owned(), Hex(0x9000)),
            ]
            .into(),
            executed: executed.iter().map(|(a, b)| (Hex(*a), Hex(*b))).collect(),
            jumps: vec![Jump {
                at: Hex(text + 8),
                taken: loading,
                passed: !loading,
            }],
        }
    }

    fn reached(periods: &[Period]) -> Reached {
        let mut reached = Reached::default();
        for period in periods {
            reached.add_period(period, &table());
        }
        reached
    }

    #[test]
    fn loads_at_different_addresses_are_joined() {
        let reached = reached(&[
            period(false, 0x1000, &[(0x1000, 0x1008)]),
            period(false, 0x5000, &[(0x5008, 0x5010), (0x50f0, 0x6000)]),
        ]);

        let pieces: Vec<_> = reached.pieces.into_iter().collect();
        assert_eq!(pieces, [(0x10000, 0x10010), (0x100f0, 0x10100)]);
    }

    #[test]
    fn memory_of_the_initialisation_is_the_drivers_during_the_load_alone() {
        let executed = [(0x9000, 0x9004)];

        assert!(reached(&[period(true, 0x1000, &executed)]).has(&(0x20000..0x20004)));
        assert!(!reached(&[period(false, 0x1000, &executed)]).has(&(0x20000..0x20004)));
    }

    #[test]
    fn outcomes_of_a_jump_are_joined_over_periods() {
        let reached = reached(&[period(true, 0x1000, &[]), period(false, 0x5000, &[])]);

        assert_eq!(reached.jumps, [(0x10008, (true, true))].into());
    }

    #[test]
    fn code_counts_as_soon_as_one_instruction_of_it_ran() {
        let reached = reached(&[period(false, 0x1000, &[(0x1004, 0x1008)])]);

        assert!(reached.has(&(0x10000..0x10005)));
        assert!(reached.has(&(0x10007..0x10020)));
        assert!(!reached.has(&(0x10000..0x10004)));
        assert!(!reached.has(&(0x10008..0x10020)));
    }

    #[test]
    fn pieces_that_touch_are_one() {
        let mut reached = Reached::default();
        for piece in [0..2, 8..10, 4..6, 1..5, 6..8] {
            reached.add(piece);
        }

        assert_eq!(reached.pieces, [(0, 10)].into());
    }

    #[test]
    fn file_that_was_cut_off_is_refused() {
        let line = Executed::Period(period(false, 0x1000, &[]))
            .line()
            .expect("a line");

        let error = parse(&line, &table()).expect_err("refused");

        assert!(error.contains("last line is missing"), "{error}");
    }

    #[test]
    fn run_that_executed_nothing_of_the_driver_is_refused() {
        let lines = [
            Executed::Period(period(false, 0x1000, &[(0x7000, 0x7008)])),
            Executed::End {},
        ];
        let lines = lines.map(|line| line.line().expect("a line"));

        let error = parse(&lines.concat(), &table()).expect_err("refused");

        assert!(error.contains("watched other addresses"), "{error}");
    }

    #[test]
    fn run_without_the_driver_is_refused() {
        let lines = [Executed::Period(Period::default()), Executed::End {}];
        let lines = lines.map(|line| line.line().expect("a line"));

        let error = parse(&lines.concat(), &table()).expect_err("refused");

        assert!(error.contains("not loaded"), "{error}");
    }
}
