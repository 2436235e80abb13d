// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The threads of a process at one moment: whether they run or wait, where they wait, and their
//! processor time.

use std::fmt;
use std::fs;
use std::path::Path;

/// Ticks per second of the times in `/proc`, on every kernel for x86-64 and arm64.
const TICKS: f64 = 100.0;

/// A thread.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Thread {
    number: String,
    name: String,
    /// State as in `/proc/PID/status`: `S (sleeping)`.
    state: String,
    /// Processor time in ticks.
    ticks: u64,
    /// Functions of the kernel in which it waits, the innermost first.
    stack: Vec<String>,
}

/// Returns the threads of a process. Returns none if the process has ended.
pub(crate) fn of(process: i32) -> Vec<Thread> {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    let mut threads: Vec<_> = threads
        .into_iter()
        .flatten()
        .filter_map(|thread| look(&thread.ok()?.path()))
        .collect();
    threads.sort_by_key(|thread| thread.number.parse::<u32>().ok());
    threads
}

/// Reads a thread from its folder. Returns `None` if it has ended.
fn look(folder: &Path) -> Option<Thread> {
    let read = |file| fs::read_to_string(folder.join(file)).ok();
    let (name, ticks) = understand(&read("stat")?)?;
    Some(Thread {
        number: folder.file_name()?.to_str()?.to_owned(),
        name,
        state: state(&read("status")?)?,
        ticks,
        stack: calls(&read("stack").unwrap_or_default()),
    })
}

/// Returns name and processor time from `/proc/PID/task/TID/stat`.
fn understand(stat: &str) -> Option<(String, u64)> {
    // The last parenthesis ends the name, which may contain parentheses itself.
    let (before, fields) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1;
    // Time in user mode and time in the kernel are the fields 14 and 15. The state is field 3.
    let mut fields = fields.split_whitespace().skip(11);
    let mut time = || fields.next()?.parse::<u64>().ok();
    Some((name.to_owned(), time()?.saturating_add(time()?)))
}

/// Returns the state from `/proc/PID/task/TID/status`.
fn state(status: &str) -> Option<String> {
    let mut lines = status.lines();
    let state = lines.find_map(|line| line.strip_prefix("State:"))?;
    Some(state.trim().to_owned())
}

/// Returns the functions in `/proc/PID/task/TID/stack`.
fn calls(stack: &str) -> Vec<String> {
    let call = |line: &str| line.trim_start_matches("[<0>] ").to_owned();
    stack.lines().map(call).collect()
}

impl Thread {
    /// Returns whether it uses a processor, or waits for one.
    pub(crate) fn is_running(&self) -> bool {
        self.state.starts_with('R')
    }

    /// Returns the report: a line about the thread, then one per function in which it waits. A
    /// thread that runs has moved on meanwhile, so its stack would mislead.
    pub(crate) fn lines(&self) -> Vec<String> {
        let shown = if self.is_running() {
            &[][..]
        } else {
            &self.stack
        };
        let calls = shown.iter().map(|call| format!("  {call}"));
        std::iter::once(self.to_string()).chain(calls).collect()
    }
}

impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            name,
            state,
            ticks,
            ..
        } = self;
        let seconds = *ticks as f64 / TICKS;
        write!(
            f,
            "{number} ({name}), state {state}, {seconds:.2} s of processor time"
        )
    }
}

#[cfg(test)]
impl Thread {
    /// Returns a thread for tests, in this state.
    pub(crate) fn sample(state: &str) -> Self {
        Self {
            number: "7".to_owned(),
            name: "dma".to_owned(),
            state: state.to_owned(),
            ticks: 150,
            stack: calls("[<0>] hrtimer_nanosleep+0x9f/0x120\n[<0>] do_syscall_64+0x6d\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_thread_is_reported_with_the_functions_in_which_it_waits() {
        assert_eq!(
            Thread::sample("S (sleeping)").lines(),
            [
                "7 (dma), state S (sleeping), 1.50 s of processor time",
                "  hrtimer_nanosleep+0x9f/0x120",
                "  do_syscall_64+0x6d"
            ]
        );
    }

    #[test]
    fn running_thread_is_reported_without_a_stack() {
        let running = Thread::sample("R (running)");

        assert!(running.is_running());
        assert_eq!(
            running.lines(),
            ["7 (dma), state R (running), 1.50 s of processor time"]
        );
    }

    #[test]
    fn processor_time_is_that_of_both_modes() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 90 0 0 0 120 30 0 0 20 0 1 0 55";

        assert_eq!(understand(stat), Some(("a) b".to_owned(), 150)));
    }

    #[test]
    fn cut_line_is_no_thread() {
        for stat in ["", "7 (a", "7 (a) S 1 7 7 0 -1 4194304 90 0 0 0 120"] {
            assert_eq!(understand(stat), None, "{stat}");
        }
    }

    #[test]
    fn thread_of_a_sleeping_process_is_found() {
        let mut sleeper = std::process::Command::new("sleep");
        let mut sleeper = sleeper.arg("1000").spawn().expect("it starts");
        let number = i32::try_from(sleeper.id()).expect("a number");
        let slept = |threads: &[Thread]| matches!(threads, [one] if one.name == "sleep" && one.state == "S (sleeping)");

        // It has the name and the state some time after its start.
        let mut threads = of(number);
        for _ in 0..1000 {
            if slept(&threads) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
            threads = of(number);
        }

        sleeper.kill().expect("killed");
        sleeper.wait().expect("it ends");
        assert!(slept(&threads), "{threads:?}");
        assert_eq!(of(number), []);
    }
}
