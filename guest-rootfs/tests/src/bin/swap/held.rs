// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the processes of the host hold: QEMU, the broker and the server.

use ringbar_tests::{Runner, PATIENCE};
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

/// Most memory by which a broker may grow, in KiB. Its allocator keeps some freed memory.
const GROWTH: u64 = 1024;
/// Name of the broker's process.
const BROKER: &str = "ringbar-broker";
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Files and shared mappings of each process, and the broker's memory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Number of processes of this name that hold so many files and mappings.
    processes: BTreeMap<(String, u64, u64), u64>,
    /// Private memory of brokers, in KiB.
    memory: u64,
}

impl Held {
    /// Asks the runner.
    pub(crate) fn now(runner: &mut Runner) -> Self {
        let answer = runner.ask("held").expect("the runner can look");
        let mut held = Self {
            processes: BTreeMap::new(),
            memory: 0,
        };
        for process in answer.split("; ") {
            let words: Vec<_> = process.split_whitespace().collect();
            let [name, files, mappings, memory] = words[..] else {
                panic!("the runner answered {process:?}");
            };
            let number = |word: &str| word.parse().expect("a number");
            let key = (name.to_owned(), number(files), number(mappings));
            *held.processes.entry(key).or_default() += 1;
            if name == BROKER {
                held.memory += number(memory);
            }
        }
        held
    }

    /// Fails unless the host soon holds the same again.
    #[track_caller]
    pub(crate) fn assert_again(&self, runner: &mut Runner) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = Self::now(runner);
            if now.processes == self.processes {
                let (before, after) = (self.memory, now.memory);
                let limit = before + GROWTH;
                assert!(
                    after <= limit,
                    "the broker has grown from {before} to {after} KiB; {limit} are allowed"
                );
                return;
            }
            assert!(
                Instant::now() < deadline,
                "held before: {self:?}, and now: {now:?}"
            );
            thread::sleep(PAUSE);
        }
    }
}
