// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Lines of all modules, and which of them any run has reached.

use std::collections::BTreeMap;

use serde::Serialize;

use super::record::Reached;
use super::table::{Line, Table};

/// Files by their paths in the checkout.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) files: BTreeMap<String, File>,
}

/// Lines of a file.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) lines: BTreeMap<u32, State>,
    /// Executed conditional jumps of lines of this file, by place: whether they were taken, and
    /// whether they were passed. They are those of one module.
    jumps: BTreeMap<u64, (bool, bool)>,
}

/// What is known of a line.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Function that has the line.
    pub(crate) function: String,
    /// Whether a run executed code of it.
    pub(crate) reached: bool,
}

/// Counts of a file, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) lines: usize,
    pub(crate) reached: usize,
    /// Executed conditional jumps.
    pub(crate) jumps: usize,
    /// Those that were both taken and passed.
    pub(crate) both_ways: usize,
}

impl Merged {
    /// Adds the lines of a module.
    pub(crate) fn add_lines(&mut self, table: &Table) {
        for (line, function) in &table.functions {
            let file = self.files.entry(line.file.clone()).or_default();
            let state = file.lines.entry(line.number).or_default();
            if state.function.is_empty() {
                state.function.clone_from(function);
            }
        }
    }

    /// Adds the code of a run with this module.
    pub(crate) fn add_run(&mut self, table: &Table, reached: &Reached) {
        for row in &table.rows {
            if reached.has(&row.code) {
                let Line { file, number } = &row.line;
                let file = self.files.get_mut(file);
                if let Some(state) = file.and_then(|file| file.lines.get_mut(number)) {
                    state.reached = true;
                }
            }
        }
    }

    /// Adds the conditional jumps of a run. Each call must be for the same module: another one has
    /// other jumps.
    pub(crate) fn add_jumps(&mut self, table: &Table, reached: &Reached) {
        for (place, (taken, passed)) in &reached.jumps {
            let before = table.rows.partition_point(|row| row.code.start <= *place);
            let row = before
                .checked_sub(1)
                .and_then(|index| table.rows.get(index));
            let Some(row) = row.filter(|row| row.code.contains(place)) else {
                continue;
            };
            if let Some(file) = self.files.get_mut(&row.line.file) {
                let jump = file.jumps.entry(*place).or_default();
                *jump = (jump.0 | taken, jump.1 | passed);
            }
        }
    }

    /// Returns the sums of all files.
    pub(crate) fn total(&self) -> Counts {
        let counts = self.files.values().map(File::counts);
        counts.fold(Counts::default(), |sum, counts| Counts {
            lines: sum.lines + counts.lines,
            reached: sum.reached + counts.reached,
            jumps: sum.jumps + counts.jumps,
            both_ways: sum.both_ways + counts.both_ways,
        })
    }
}

impl File {
    /// Returns the counts.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            lines: self.lines.len(),
            reached: self.lines.values().filter(|line| line.reached).count(),
            jumps: self.jumps.len(),
            both_ways: self.jumps.values().filter(|jump| jump.0 && jump.1).count(),
        }
    }

    /// Returns the lines that no run has reached, with their numbers.
    pub(crate) fn unreached(&self) -> impl Iterator<Item = (u32, &State)> {
        let lines = self.lines.iter().filter(|(_, line)| !line.reached);
        lines.map(|(number, line)| (*number, line))
    }
}

impl Counts {
    /// Returns the share of lines that were reached, in percent with one digit, rounded down.
    pub(crate) fn percent(self) -> f64 {
        match self.lines {
            0 => 100.0,
            lines => (1000.0 * self.reached as f64 / lines as f64).floor() / 10.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::table::tests::{compiled, number};
    use crate::lines::table::Row;
    use ringbar_records::executed::{Executed, Period};
    use ringbar_records::record::Hex;

    const FIXTURE: &str = "guest-driver/fixture.rs";
    const BASE: u64 = 0xffff_ffff_c000_0000;

    /// Returns what a run has reached that executed these pieces of the module.
    fn run(table: &Table, pieces: &[std::ops::Range<u64>]) -> Reached {
        let sections = table.parts.iter().map(|(name, (here, _))| (name, here));
        let loaded = |here: u64| Hex::from(BASE.wrapping_add(here));
        let period = Period {
            sections: sections
                .map(|(name, here)| (name.clone(), loaded(*here)))
                .collect(),
            executed: pieces
                .iter()
                .map(|it| (loaded(it.start), loaded(it.end)))
                .collect(),
            ..Period::default()
        };
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("executed.jsonl");
        let lines = [Executed::Period(period), Executed::End {}];
        let lines = lines.map(|line| line.line().expect("a line"));
        std::fs::write(&path, lines.concat()).expect("written");
        crate::lines::record::read(&path, table).expect("a record")
    }

    /// Returns the code of the rows that a function has.
    fn code_of(table: &Table, function: &str) -> Vec<std::ops::Range<u64>> {
        let is_of = |row: &&Row| {
            table
                .functions
                .get(&row.line)
                .is_some_and(|it| it == function)
        };
        let rows = table.rows.iter().filter(is_of);
        rows.map(|row| row.code.clone()).collect()
    }

    fn is_reached(merged: &Merged, text: &str) -> bool {
        merged.files[FIXTURE].lines[&number(text)].reached
    }

    #[test]
    fn runs_are_merged_line_by_line() {
        let table = Table::read(&compiled()).expect("a table");
        let mut merged = Merged::default();
        merged.add_lines(&table);

        merged.add_run(&table, &run(&table, &code_of(&table, "large")));
        let before = is_reached(&merged, "closure line");
        merged.add_run(&table, &run(&table, &code_of(&table, "with_closure")));

        assert!(!before);
        assert!(is_reached(&merged, "call in large"));
        assert!(is_reached(&merged, "closure line"));
        assert!(!is_reached(&merged, "inlined line"));
    }

    #[test]
    fn one_instance_of_generic_code_reaches_its_line() {
        let table = Table::read(&compiled()).expect("a table");
        let mut merged = Merged::default();
        merged.add_lines(&table);
        let is_generic = |row: &&Row| row.line.number == number("generic line");
        let instance = table.rows.iter().rfind(is_generic).expect("code");

        merged.add_run(&table, &run(&table, std::slice::from_ref(&instance.code)));

        assert!(is_reached(&merged, "generic line"));
        assert_eq!(merged.total().reached, 1);
    }

    #[test]
    fn jump_counts_for_its_file_with_both_outcomes_of_all_runs() {
        let table = Table::read(&compiled()).expect("a table");
        let mut merged = Merged::default();
        merged.add_lines(&table);
        let place = table.rows.first().expect("a row").code.start;
        for outcome in [(true, false), (false, true)] {
            let mut reached = Reached::default();
            reached.jumps.insert(place, outcome);
            reached.jumps.insert(place + 0x1000_0000, outcome);
            merged.add_jumps(&table, &reached);
        }

        let Counts {
            jumps, both_ways, ..
        } = merged.total();
        assert_eq!((jumps, both_ways), (1, 1));
    }

    #[test]
    fn share_is_never_rounded_up() {
        let counts = Counts {
            lines: 10_000,
            reached: 8_999,
            ..Counts::default()
        };

        assert_eq!(counts.percent(), 89.9);
    }
}
