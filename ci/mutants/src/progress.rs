// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Lines for people while mutants run.

use crate::mutant::Mutant;
use crate::results::{Record, Verdict};

/// Count of the mutants of this run.
#[derive(Debug)]
pub(crate) struct Progress {
    target: &'static str,
    done: usize,
    all: usize,
}

impl Progress {
    /// Begins with none done of `all`.
    pub(crate) fn new(target: &'static str, all: usize) -> Self {
        Self {
            target,
            done: 0,
            all,
        }
    }

    /// Prints a line about the run.
    pub(crate) fn say(&self, text: &str) {
        eprintln!("ringbar: {}: {text}", self.target);
    }

    /// Prints the result of a mutant.
    pub(crate) fn result(&mut self, mutant: &Mutant, record: &Record) {
        self.done = self.done.saturating_add(1);
        let Self { target, done, all } = self;
        let result = shown(record);
        eprintln!(
            "ringbar: {target} {done}/{all}: {result} ({:.0} s): {}",
            record.seconds,
            mutant.shown()
        );
    }
}

/// Returns the result in words.
fn shown(record: &Record) -> String {
    match record.verdict {
        Verdict::Caught => match &record.by {
            Some(test) => format!("caught by {test}"),
            None => "caught".to_owned(),
        },
        Verdict::Timeout => "caught by the time limit".to_owned(),
        Verdict::Missed => "MISSED".to_owned(),
        Verdict::Unviable => "does not compile".to_owned(),
    }
}
