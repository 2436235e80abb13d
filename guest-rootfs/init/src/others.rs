// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Processes besides init: those that a program leaves behind, and those that cannot be killed.

use rustix::process::{kill_process_group, waitpid, Pid, Signal, WaitOptions};
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// Flags of a process: a thread of the kernel's, and one that is about to end.
const KERNEL_THREAD: u64 = 0x20_0000;
const EXITING: u64 = 0x4;
/// SIGKILL in a mask of signals.
const KILL: u64 = 1 << 8;

/// Looks at processes that may be about to end by themselves, and the time between two of them.
const GRACE: u32 = 100;
const GRACE_LOOK: Duration = Duration::from_millis(20);
/// Time between two looks at processes that were killed.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// Lines that tell of processes that cannot be killed.
const LINES: usize = 80;

/// A process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Other {
    pid: i32,
    name: String,
    state: String,
    /// Killed, or ending by itself.
    dies: bool,
}

/// What became of the processes that were left.
#[derive(Debug, Default)]
pub(crate) struct Cleared {
    /// Those that ran on, in words.
    pub(crate) left: Vec<String>,
    /// Those that are still there.
    pub(crate) stuck: Vec<Other>,
}

/// Waits a moment for other processes to end, and kills those that do not: they were left. One that holds `output`, a pipe
/// by its inode, is named as such. Looks at most `looks` times if what was killed is gone.
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

/// Kills all processes but this one.
pub(crate) fn kill_all() {
    // The system call takes a group as a number below 0, and -1, which stands for that of process 1, means everybody. Not
    // for a test on the host: there it would end all of a user's processes. An error means that there is nobody.
    if std::process::id() == 1 {
        let _ = kill_process_group(Pid::INIT, Signal::KILL);
    }
}

/// Whether all others have ended.
fn gone(looks: u32, time: Duration) -> bool {
    for _ in 0..looks {
        if reap() {
            return true;
        }
        sleep(time);
    }
    false
}

/// Waits for all who have ended; returns whether nobody is left. Whoever outlives its parent is init's child, so one who has
/// no children is alone, and `/proc` need not be read.
fn reap() -> bool {
    loop {
        match waitpid(None, WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

/// All processes but this one, the kernel's threads and those that have ended.
fn all() -> Vec<Other> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let me = std::process::id();
    numbers
        .filter(|pid| u32::try_from(*pid) != Ok(me))
        .filter_map(look)
        .collect()
}

fn look(pid: i32) -> Option<Other> {
    let read = |file| fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
    let other = understand(pid, &read("stat")?, &read("status")?)?;
    // The first thread of a process may have ended alone.
    let alone = || fs::read_dir(format!("/proc/{pid}/task")).map_or(true, |all| all.count() < 2);
    (other.state != "Z" || !alone()).then_some(other)
}

/// Understands `/proc/PID/stat` and `/proc/PID/status`. None for a thread of the kernel's.
fn understand(pid: i32, stat: &str, status: &str) -> Option<Other> {
    // The name in parentheses may hold anything, parentheses too.
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

/// Whether a process, or its first thread, has SIGKILL before it.
fn is_killed(status: &str) -> bool {
    let masks = status.lines().filter_map(|line| line.split_once(':'));
    let mut pending = masks.filter(|(key, _)| matches!(*key, "SigPnd" | "ShdPnd"));
    pending.any(|(_, mask)| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & KILL != 0))
}

impl Other {
    /// What is said of a process that a program left behind.
    fn left(&self, output: Option<u64>) -> String {
        let holds = output.is_some_and(|inode| self.holds(inode));
        let holds = if holds { ", which held its output" } else { "" };
        format!("left {} ({}) running{holds}", self.pid, self.name)
    }

    fn holds(&self, inode: u64) -> bool {
        let pipe = format!("pipe:[{inode}]");
        let files = fs::read_dir(format!("/proc/{}/fd", self.pid))
            .into_iter()
            .flatten()
            .flatten();
        let mut targets = files.filter_map(|file| fs::read_link(file.path()).ok());
        targets.any(|target| target == Path::new(&pipe))
    }

    fn is_running(&self) -> bool {
        self.state == "R"
    }

    /// What is said of a process that cannot be killed.
    pub(crate) fn stuck(&self) -> String {
        let wait = fs::read_to_string(format!("/proc/{}/wchan", self.pid)).unwrap_or_default();
        let place = match wait.as_str() {
            "" | "0" => String::new(),
            place => format!(", in {place}"),
        };
        format!("{} ({}), state {}{place}", self.pid, self.name, self.state)
    }

    /// Where the kernel is with each of its threads.
    fn stacks(&self) -> Vec<String> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid))
            .into_iter()
            .flatten()
            .flatten();
        let stack = |thread: fs::DirEntry| {
            let read = |file| fs::read_to_string(thread.path().join(file)).unwrap_or_default();
            let name = format!(
                "{} ({}):",
                thread.file_name().display(),
                read("comm").trim()
            );
            let stack = read("stack");
            let calls = stack
                .lines()
                .map(|call| format!("  {}", call.trim_start_matches("[<0>] ")));
            std::iter::once(name).chain(calls).collect::<Vec<_>>()
        };
        threads.flat_map(stack).collect()
    }
}

/// Lines on processes that cannot be killed. If one of them runs, the kernel prints on the console where, too: a stack that
/// is read meanwhile means little.
pub(crate) fn describe(stuck: &[Other]) -> Vec<String> {
    if stuck.iter().any(Other::is_running) {
        // Whatever it says, there is nothing else to be done.
        let _ = fs::write("/proc/sysrq-trigger", "l");
    }
    let lines = |other: &Other| {
        let first = format!("cannot be killed: {}", other.stuck());
        std::iter::once(first).chain(other.stacks())
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
    fn process_that_runs_on_is_seen_with_its_name() {
        let other = understand(7, &stat("S", 0x40_0100), QUIET).expect("a process");

        assert_eq!(
            (other.name.as_str(), other.state.as_str(), other.dies),
            ("a) b", "S", false)
        );
        assert_eq!(other.left(None), "left 7 (a) b) running");
    }

    #[test]
    fn thread_of_the_kernel_is_none() {
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
    fn processes_of_this_machine_are_seen_and_this_one_is_not() {
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
