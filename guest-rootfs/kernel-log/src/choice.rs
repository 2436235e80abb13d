// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Choice of the records to pass on: complaints, and some lines after each.

use crate::complaint::examine;
use crate::record::Record;

/// Lines passed on from a complaint on. The trace of a warning has about as many.
const CONTEXT: usize = 40;
/// Most lines in all. Otherwise a kernel that warns without end would hold up the programs'
/// results.
const MOST: usize = 1000;

/// State of the choice.
#[derive(Debug, Default)]
pub struct Choice {
    /// Number of the next record.
    next: u64,
    /// Records read so far.
    read: u64,
    /// Number of lines to pass on unconditionally.
    context: usize,
    /// Lines passed on so far.
    passed: usize,
}

impl Choice {
    /// Takes the next record. Returns how many records before it were overwritten, and its lines to
    /// pass on.
    pub fn take(&mut self, record: &Record) -> (u64, Vec<String>) {
        let lost = record.sequence.saturating_sub(self.next);
        self.next = record.sequence.saturating_add(1);
        self.read = self.read.saturating_add(1);
        let lines = record.message.lines().filter(|line| self.is_wanted(line));
        (lost, lines.map(str::to_owned).collect())
    }

    /// Returns how many records were read.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Returns whether to pass a line on, and counts it.
    fn is_wanted(&mut self, line: &str) -> bool {
        if examine(line).is_some() {
            self.context = CONTEXT;
        }
        if self.context == 0 || self.passed >= MOST {
            return false;
        }
        self.context = self.context.saturating_sub(1);
        self.passed = self.passed.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sequence: u64, message: &str) -> Record {
        Record {
            sequence,
            message: message.to_owned(),
        }
    }

    /// Returns the lines that are passed on from records with these messages.
    fn passed(messages: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut choice = Choice::default();
        let records = (0..).zip(messages);
        records
            .flat_map(|(sequence, message)| choice.take(&record(sequence, &message)).1)
            .collect()
    }

    #[test]
    fn healthy_boot_passes_nothing_on() {
        let messages = ["Linux version 7.3.4", "rcu: Hierarchical RCU", "tsc: fast"];

        assert_eq!(passed(messages.map(String::from)), [""; 0]);
    }

    #[test]
    fn complaint_is_passed_on_with_its_trace() {
        let trace = (0..100).map(|line| format!("trace {line}"));
        let messages = ["fine".to_owned(), "WARNING: x.c:1 at f".to_owned()];

        let passed = passed(messages.into_iter().chain(trace));

        assert_eq!(passed.len(), CONTEXT);
        assert_eq!(passed[0], "WARNING: x.c:1 at f");
        assert_eq!(passed[1], "trace 0");
    }

    #[test]
    fn complaint_inside_of_a_record_is_found() {
        let passed = passed(["----\nBUG: KASAN: use-after-free".to_owned()]);

        assert_eq!(passed, ["BUG: KASAN: use-after-free"]);
    }

    #[test]
    fn flood_of_complaints_ends() {
        let flood = std::iter::repeat_n("WARNING: again".to_owned(), 3 * MOST);

        assert_eq!(passed(flood).len(), MOST);
    }

    #[test]
    fn missing_records_are_counted() {
        let mut choice = Choice::default();

        assert_eq!(choice.take(&record(0, "a")).0, 0);
        assert_eq!(choice.take(&record(1, "b")).0, 0);
        assert_eq!(choice.take(&record(7, "c")).0, 5);
        assert_eq!(choice.read(), 3);
    }

    #[test]
    fn log_without_its_beginning_lacks_records() {
        assert_eq!(Choice::default().take(&record(9, "a")).0, 9);
    }
}
