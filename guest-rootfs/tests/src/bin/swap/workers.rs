// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Threads that use the device, each with a file of its own, and begin again when the device has gone.

use crate::assert_gone;
use ringbar_tests::{hammer, open, until};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Number of threads.
const WORKERS: usize = 4;
/// Rounds of each thread that show that it goes on.
const ROUNDS: u64 = 10;
/// Pause before a thread begins again.
const PAUSE: Duration = Duration::from_millis(10);

/// A thread, and the rounds of copies that it has checked.
struct Worker {
    rounds: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

/// The threads.
pub(crate) struct Workers {
    enough: Arc<AtomicBool>,
    workers: Vec<Worker>,
}

impl Workers {
    /// Starts the threads.
    pub(crate) fn start() -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let workers = (0..WORKERS).map(|_| Worker::start(Arc::clone(&enough)));
        let workers = Self {
            workers: workers.collect(),
            enough,
        };
        workers.go_on();
        workers
    }

    /// Waits until each thread has done some more rounds. Fails if one of them does not.
    #[track_caller]
    pub(crate) fn go_on(&self) {
        let counts = || self.workers.iter().map(Worker::rounds);
        let wanted: Vec<_> = counts().map(|rounds| rounds + ROUNDS).collect();
        until("all threads go on", || {
            let ended = self
                .workers
                .iter()
                .any(|worker| worker.thread.is_finished());
            ended
                || counts()
                    .zip(&wanted)
                    .all(|(rounds, wanted)| rounds >= *wanted)
        });
    }

    /// Ends the threads. Fails if a byte, a completion or an error was wrong.
    #[track_caller]
    pub(crate) fn finish(self) {
        self.enough.store(true, Ordering::Relaxed);
        for worker in self.workers {
            worker.thread.join().expect("every byte is right");
        }
    }
}

impl Worker {
    fn start(enough: Arc<AtomicBool>) -> Self {
        let rounds = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&rounds);
        let thread = thread::spawn(move || {
            while !enough.load(Ordering::Relaxed) {
                let another_round = || {
                    count.fetch_add(1, Ordering::Relaxed);
                    !enough.load(Ordering::Relaxed)
                };
                let ended = hammer(&open(), another_round);
                if let Err(error) = ended {
                    assert_gone(&error);
                    thread::sleep(PAUSE);
                }
            }
        });
        Self { rounds, thread }
    }

    fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }
}
