// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Processes besides init: those that a program leaves behind, and those that survive SIGKILL.

use crate::threads::{self, Thread};
use rustix::process::{kill_process_group, waitpid, Pid, Signal, WaitOptions};
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// Flags of a process in `/proc/PID/stat`: a kernel thread, and a process that is about to end.
const KERNEL_THREAD: u64 = 0x20_0000;
const EXITING: u64 = 0x4;
/// SIGKILL in a signal mask.
const KILL: u64 = 1 << 8;

/// Number of looks at processes that may be about to end by themselves, and the time between two
/// looks.
const GRACE: u32 = 100;
const GRACE_LOOK: Duration = Duration::from_millis(20);
/// Time between two looks at killed processes.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// Most lines of a report on processes.
pub(crate) const LINES: usize = 80;

/// A process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Other {
    pid: i32,
    name: String,
    state: String,
    /// Whether it was killed, or is about to end by itself.
    dies: bool,
}

/// Result of [`clear`].
#[derive(Debug, Default)]
pub(crate) struct Cleared {
    /// Processes that ran on, in words.
    pub(crate) left: Vec<String>,
    /// Processes that are still there.
    pub(crate) stuck: Vec<Other>,
}

/// Waits a moment for other processes to end, then kills the rest: the program has left them. One
/// that holds `output`, the inode of a pipe, is reported as such. Looks at most `looks` times
/// whether the killed ones are gone.
pub(crate) fn clear(output: Option<u64>, looks: u32) -> Cleared {
    if gone(GRACE, GRACE_LOOK) {
        return Cleared::default();
    }
    let running = all().into_iter().filter(|other| !other.dies);
    let left = running.map(|other| other.left(output)).collect();
    kill_all();
    let stuck = if gone(looks, LOOK) { Vec::new() } else { all() };
    Cleared { left, stuck }
}

/// Returns the threads of all processes.
pub(crate) fn threads() -> Vec<Thread> {
    let threads = |other: Other| threads::of(other.pid);
    all().into_iter().flat_map(threads).collect()
}

/// Kills all processes but this one.
pub(crate) fn kill_all() {
    // The system call takes a process group as a negative number. That of process 1 is -1, which
    // means all processes. A test on the host must not do so: it would end all processes of the
    // user. An error means that there is none.
    if std::process::id() == 1 {
        let _ = kill_process_group(Pid::INIT, Signal::KILL);
    }
}

/// Returns whether all other processes have ended.
fn gone(looks: u32, time: Duration) -> bool {
    for _ in 0..looks {
        if reap() {
            return true;
        }
        sleep(time);
    }
    false
}

/// Reaps all ended processes. Returns whether init is alone. An orphan becomes a child of init, so
/// without children init is alone, and `/proc` need not be read.
fn reap() -> bool {
    loop {
        match waitpid(None, WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

/// Returns all processes but init, kernel threads and ended ones.
fn all() -> Vec<Other> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let me = std::process::id();
    numbers
        .filter(|pid| u32::try_from(*pid) != Ok(me))
        .filter_map(look)
        .collect()
}

/// Reads a process from `/proc`. Returns `None` if it has ended or is a kernel thread.
fn look(pid: i32) -> Option<Other> {
    let read = |file| fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
    let other = understand(pid, &read("stat")?, &read("status")?)?;
    // The first thread of a process may have ended while others run on. Such a process counts.
    let alone = || fs::read_dir(format!("/proc/{pid}/task")).map_or(true, |all| all.count() < 2);
    (other.state != "Z" || !alone()).then_some(other)
}

/// Parses `/proc/PID/stat` and `/proc/PID/status`. Returns `None` for a kernel thread.
fn understand(pid: i32, stat: &str, status: &str) -> Option<Other> {
    // The last parenthesis ends the name, which may contain parentheses itself.
    let (before, fields) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    let flags: u64 = fields.nth(5)?.parse().ok()?;
    if flags & KERNEL_THREAD != 0 || state == "X" {
        return None;
    }
    Some(Other {
        pid,
        name: name.to_owned(),
        state: state.to_owned(),
        dies: flags & EXITING != 0 || is_killed(status),
    })
}

/// Returns whether SIGKILL is pending for a process or its first thread.
fn is_killed(status: &str) -> bool {
    let masks = status.lines().filter_map(|line| line.split_once(':'));
    let mut pending = masks.filter(|(key, _)| matches!(*key, "SigPnd" | "ShdPnd"));
    pending.any(|(_, mask)| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & KILL != 0))
}

impl Other {
    /// Returns the report on a process that a program left behind.
    fn left(&self, output: Option<u64>) -> String {
        let holds = output.is_some_and(|inode| self.holds(inode));
        let holds = if holds { ", which held its output" } else { "" };
        format!("left {} ({}) running{holds}", self.pid, self.name)
    }

    /// Returns whether the process has the pipe open.
    fn holds(&self, inode: u64) -> bool {
        let pipe = format!("pipe:[{inode}]");
        let files = fs::read_dir(format!("/proc/{}/fd", self.pid))
            .into_iter()
            .flatten()
            .flatten();
        let mut targets = files.filter_map(|file| fs::read_link(file.path()).ok());
        targets.any(|target| target == Path::new(&pipe))
    }

    /// Returns whether it uses a processor.
    fn is_running(&self) -> bool {
        self.state == "R"
    }

    /// Returns the report on a process that survives SIGKILL.
    pub(crate) fn stuck(&self) -> String {
        let wait = fs::read_to_string(format!("/proc/{}/wchan", self.pid)).unwrap_or_default();
        let place = match wait.as_str() {
            "" | "0" => String::new(),
            place => format!(", in {place}"),
        };
        format!("{} ({}), state {}{place}", self.pid, self.name, self.state)
    }
}

/// Returns a report on processes that survive SIGKILL. If one of them runs, the kernel also prints
/// its stack on the console: a stack in `/proc` means little while the process runs.
pub(crate) fn describe(stuck: &[Other]) -> Vec<String> {
    if stuck.iter().any(Other::is_running) {
        // An error is ignored: the stacks are then missing on the console, and nothing else depends
        // on them.
        let _ = fs::write("/proc/sysrq-trigger", "l");
    }
    let lines = |other: &Other| {
        let first = format!("cannot be killed: {}", other.stuck());
        let threads = threads::of(other.pid).into_iter();
        std::iter::once(first).chain(threads.flat_map(|thread| thread.lines()))
    };
    stuck.iter().flat_map(lines).take(LINES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: &str = "SigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\n";

    fn stat(state: &str, flags: u64) -> String {
        format!("7 (a) b) {state} 1 7 7 0 -1 {flags} 100 0")
    }

    #[test]
    fn running_process_is_found_with_its_name() {
        let other = understand(7, &stat("S", 0x40_0100), QUIET).expect("a process");

        assert_eq!(
            (other.name.as_str(), other.state.as_str(), other.dies),
            ("a) b", "S", false)
        );
        assert_eq!(other.left(None), "left 7 (a) b) running");
    }

    #[test]
    fn kernel_thread_is_not_a_process() {
        assert_eq!(understand(2, &stat("S", KERNEL_THREAD), QUIET), None);
    }

    #[test]
    fn process_that_was_killed_or_ends_dies() {
        let killed = QUIET.replacen("000000000\n", "000000100\n", 1);
        let ends = understand(7, &stat("D", EXITING), QUIET);
        let is_killed = understand(7, &stat("D", 0), &killed);

        assert!(ends.is_some_and(|other| other.dies));
        assert!(is_killed.is_some_and(|other| other.dies));
    }

    #[test]
    fn process_that_has_another_signal_before_it_does_not_die() {
        let other = understand(7, &stat("T", 0), &QUIET.replace("00\n", "04\n"));

        assert!(other.is_some_and(|other| !other.dies));
    }

    #[test]
    fn other_processes_are_found_without_this_one() {
        let me = i32::try_from(std::process::id()).expect("a number");
        let mut sleeper = std::process::Command::new("sleep");
        let mut sleeper = sleeper.arg("1000").spawn().expect("it starts");
        let number = i32::try_from(sleeper.id()).expect("a number");

        let all = all();

        sleeper.kill().expect("killed");
        sleeper.wait().expect("it ends");
        assert!(
            all.iter().any(|other| other.pid == number && !other.dies),
            "{all:?}"
        );
        assert!(all.iter().all(|other| other.pid != me));
    }
}
