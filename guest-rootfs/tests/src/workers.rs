// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Processes that work without a pause while a test changes something, and that report that they go on.

use crate::{arguments, until};
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// Role of such a process.
pub const WORK: &str = "work";
/// Line of the process for some rounds.
const DONE: &str = "done";
/// Number of processes.
const WORKERS: usize = 4;
/// Rounds per line.
const ROUNDS: u64 = 10;
/// Lines that show that a process goes on. The rounds of the first may have been done before.
const LINES: u64 = 2;

/// A process, and the number of its lines. Killed when dropped.
#[derive(Debug)]
struct Worker {
    process: Child,
    lines: Arc<AtomicU64>,
    /// Ends with the process.
    reader: JoinHandle<()>,
}

/// The processes. Each is this program in the role [`WORK`], in which it calls [`work`].
#[derive(Debug)]
pub struct Workers(Vec<Worker>);

impl Workers {
    /// Starts the processes.
    pub fn start() -> Self {
        let workers = Self((0..WORKERS).map(|_| Worker::start()).collect());
        workers.go_on();
        workers
    }

    /// Waits until each process has done some more rounds. Fails if one of them does not.
    #[track_caller]
    pub fn go_on(&self) {
        let counts = || self.0.iter().map(Worker::lines);
        let wanted: Vec<_> = counts().map(|lines| lines + LINES).collect();
        until("all processes go on", || {
            // The status of a process that has ended is judged in the end.
            let ended = self.0.iter().any(|worker| worker.reader.is_finished());
            ended
                || counts()
                    .zip(&wanted)
                    .all(|(lines, wanted)| lines >= *wanted)
        });
    }

    /// Ends the processes. Fails if a byte, a completion or an error was wrong.
    #[track_caller]
    pub fn finish(mut self) {
        for worker in &mut self.0 {
            // The end of its input.
            drop(worker.process.stdin.take());
            let status = worker.process.wait().expect("a child of ours");
            assert!(status.success(), "a process: {status}");
        }
    }
}

impl Worker {
    fn start() -> Self {
        let mut process = Command::new("/proc/self/exe")
            .args([arguments::AS, WORK])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program can start itself");
        let output = process.stdout.take().expect("its output is a pipe");
        let lines = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&lines);
        let reader = thread::spawn(move || count_lines(output, &count));
        Self {
            process,
            lines,
            reader,
        }
    }

    fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The kill fails if the process has already ended.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

/// Counts the lines about work.
fn count_lines(output: ChildStdout, count: &AtomicU64) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if line == DONE {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Plays the role of a process: calls `rounds` again and again until its input ends. `rounds` works
/// until the function that it gets returns false, and calls that once per round.
pub fn work(mut rounds: impl FnMut(&mut dyn FnMut() -> bool)) -> ExitCode {
    let enough = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&enough);
    thread::spawn(move || {
        // An error ends the work too.
        let _end = io::stdin().read(&mut [0]);
        stop.store(true, Ordering::Relaxed);
    });
    let mut done = 0;
    while !enough.load(Ordering::Relaxed) {
        rounds(&mut || {
            done += 1;
            if u64::is_multiple_of(done, ROUNDS) {
                println!("{DONE}");
            }
            !enough.load(Ordering::Relaxed)
        });
    }
    ExitCode::SUCCESS
}
