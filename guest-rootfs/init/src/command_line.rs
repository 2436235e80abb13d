// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The task and the drivers that the kernel command line names.

use crate::driver::{Driver, Drivers};
use crate::kexec::Part;
use crate::programs::Selection;
use std::fs;

/// Task of the guest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Run test programs, each with these arguments.
    Tests(Selection, Vec<String>),
    /// Start a shell for a person.
    Shell,
    /// The same, with a debugger for the driver, for which init waits.
    Debug,
    /// Load the driver and power off, while the host measures the time.
    Boot,
}

/// Returns the task and the drivers that the kernel command line names, and the part of this boot
/// in a change of kernels, if it has one.
pub(crate) fn from_kernel() -> Result<(Task, Drivers, Option<Part>), String> {
    let line = fs::read_to_string("/proc/cmdline")
        .map_err(|error| format!("cannot read the kernel command line: {error}"))?;
    Ok((Task::parse(&line), drivers(&line), Part::parse(&line)))
}

/// Reads the drivers from a command line. Without a word about them, ringbar's is meant.
fn drivers(line: &str) -> Drivers {
    let words = line.split_whitespace();
    let own: Vec<_> = words
        .filter_map(|word| word.strip_prefix("ringbar.driver="))
        .map(Driver::parse)
        .collect();
    match own.is_empty() {
        true => Drivers::Ringbar,
        false => Drivers::Own(own),
    }
}

impl Task {
    /// Reads the task from a command line. Without a word of init's, all tests run.
    fn parse(line: &str) -> Self {
        let mut task = Self::Tests(Selection::All, Vec::new());
        let mut arguments = Vec::new();
        // The words come in any order, so the arguments are added at the end.
        for word in line.split_whitespace() {
            if word == "ringbar.shell" {
                task = Self::Shell;
            } else if word == "ringbar.debug" {
                task = Self::Debug;
            } else if word == "ringbar.boot" {
                task = Self::Boot;
            } else if let Some(names) = word.strip_prefix("ringbar.tests=") {
                task = Self::Tests(Selection::parse(names), Vec::new());
            } else if let Some(words) = word.strip_prefix("ringbar.args=") {
                arguments = words.split(',').map(str::to_owned).collect();
            }
        }
        match task {
            Self::Tests(selection, _) => Self::Tests(selection, arguments),
            task => task,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_our_words_all_tests_run() {
        assert_eq!(
            Task::parse("console=ttyS0 panic=-1\n"),
            Task::Tests(Selection::All, Vec::new())
        );
    }

    #[test]
    fn names_are_taken_apart() {
        let names = Selection::Named(vec!["dma".into(), "queue".into()]);
        assert_eq!(
            Task::parse("quiet ringbar.tests=dma,queue"),
            Task::Tests(names, Vec::new())
        );
    }

    #[test]
    fn arguments_are_taken_apart_wherever_they_stand() {
        let names = Selection::Named(vec!["dma".into()]);
        let arguments = vec!["read".into(), "write".into()];
        assert_eq!(
            Task::parse("ringbar.args=read,write quiet ringbar.tests=dma"),
            Task::Tests(names, arguments)
        );
    }

    #[test]
    fn without_a_word_about_drivers_ringbar_is_meant() {
        assert_eq!(drivers("quiet ringbar.shell"), Drivers::Ringbar);
    }

    #[test]
    fn drivers_are_taken_apart_in_their_order() {
        let sum = Driver::parse("ringbar_sum:/dev/a,/dev/b");
        let edu = Driver::parse("ringbar_edu");
        assert_eq!(
            drivers("ringbar.driver=ringbar_sum:/dev/a,/dev/b quiet ringbar.driver=ringbar_edu"),
            Drivers::Own(vec![sum, edu])
        );
    }

    #[test]
    fn shell_is_understood() {
        assert_eq!(Task::parse("ringbar.shell console=ttyS0"), Task::Shell);
    }

    #[test]
    fn shell_with_a_debugger_is_understood() {
        assert_eq!(Task::parse("ringbar.debug TERM=vt100"), Task::Debug);
    }

    #[test]
    fn boot_alone_is_understood() {
        assert_eq!(Task::parse("quiet ringbar.boot"), Task::Boot);
    }
}
