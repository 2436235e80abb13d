// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Processor time of QEMU's threads, from `/proc`.
//!
//! QEMU may be the child of a script, or be in another process namespace. So it is searched for
//! among all descendants, by the names of its virtual processors' threads.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::watchdog::Load;

/// Prefix and suffixes of the names of virtual processors' threads: `CPU 0/TCG`, `CPU 1/KVM`.
const PROCESSOR: (&str, &[&str]) = ("CPU ", &["/TCG", "/KVM"]);

/// Looks between two searches for QEMU. A search reads all of `/proc`.
const SEARCH: u32 = 5;

/// Tick of `/proc/PID/stat`: a hundredth of a second on every x86 kernel.
const TICK: Duration = Duration::from_millis(10);

/// Reader of the processor time.
#[derive(Debug)]
pub(crate) struct Meter {
    proc: PathBuf,
    /// Process that was started.
    root: u32,
    /// Processes found so far. Once QEMU has virtual processors: QEMU alone.
    processes: Vec<u32>,
    found: bool,
    looks: u32,
}

impl Meter {
    /// Returns a meter for the process `root` and its descendants.
    pub(crate) fn new(root: u32) -> Self {
        Self::at("/proc", root)
    }

    /// Returns a meter that reads another folder than `/proc`, for tests.
    fn at(proc: impl Into<PathBuf>, root: u32) -> Self {
        Self {
            proc: proc.into(),
            root,
            processes: Vec::new(),
            found: false,
            looks: 0,
        }
    }

    /// Returns the processor time so far. Unreadable values count as 0: the thread may just have
    /// ended.
    pub(crate) fn read(&mut self) -> Load {
        if !self.found && self.looks.checked_rem(SEARCH) == Some(0) {
            self.processes = self.descendants();
        }
        self.looks = self.looks.saturating_add(1);
        let mut load = Load::default();
        let mut qemu = None;
        for process in &self.processes {
            for thread in threads(&self.proc.join(process.to_string())) {
                load.wanted = load
                    .wanted
                    .saturating_add(thread.ran)
                    .saturating_add(thread.waited);
                if thread.is_processor {
                    load.ran = load.ran.saturating_add(thread.ran);
                    qemu = Some(*process);
                }
            }
        }
        if let (Some(process), false) = (qemu, self.found) {
            self.found = true;
            self.processes = vec![process];
        }
        load
    }

    /// Returns the process that was started and all its descendants.
    fn descendants(&self) -> Vec<u32> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        let entries = fs::read_dir(&self.proc).into_iter().flatten().flatten();
        for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
            let stat = fs::read_to_string(self.proc.join(format!("{pid}/stat")));
            if let Some(parent) = stat.ok().as_deref().and_then(parent) {
                children.entry(parent).or_default().push(pid);
            }
        }
        let mut all = Vec::new();
        let mut next = vec![self.root];
        while let Some(pid) = next.pop() {
            all.push(pid);
            // Removed, so that each process is visited once, even if `/proc` changed while it was
            // read.
            next.extend(children.remove(&pid).into_iter().flatten());
        }
        all
    }
}

/// Processor time of a thread.
#[derive(Debug, PartialEq, Eq)]
struct Thread {
    is_processor: bool,
    /// Processor time.
    ran: Duration,
    /// Time in which it was ready to run but had no processor.
    waited: Duration,
}

/// Returns the times of all threads of a process.
fn threads(process: &Path) -> Vec<Thread> {
    let tasks = fs::read_dir(process.join("task"))
        .into_iter()
        .flatten()
        .flatten();
    tasks.filter_map(|task| thread(&task.path())).collect()
}

/// Returns the times of a thread, if it still exists.
fn thread(task: &Path) -> Option<Thread> {
    let name = fs::read_to_string(task.join("comm")).ok()?;
    let schedstat = fs::read_to_string(task.join("schedstat")).ok();
    let (ran, waited) = match schedstat.as_deref().and_then(from_schedstat) {
        Some(times) => times,
        // A kernel without these statistics still counts ticks.
        None => (
            from_stat(&fs::read_to_string(task.join("stat")).ok()?)?,
            Duration::ZERO,
        ),
    };
    Some(Thread {
        is_processor: is_processor(name.trim_end()),
        ran,
        waited,
    })
}

/// Returns whether a thread with this name is a virtual processor.
fn is_processor(name: &str) -> bool {
    let (start, ends) = PROCESSOR;
    name.starts_with(start) && ends.iter().any(|end| name.ends_with(end))
}

/// Parses time on a processor and time on a run queue, in nanoseconds. Returns `None` if both are
/// zero: the kernel does not count them.
fn from_schedstat(text: &str) -> Option<(Duration, Duration)> {
    let mut numbers = text.split_whitespace().map(str::parse);
    let (ran, waited) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    ((ran, waited) != (0, 0)).then_some((Duration::from_nanos(ran), Duration::from_nanos(waited)))
}

/// Returns the fields after the name. State is the third field of all, parent the fourth, `utime`
/// the fourteenth, `stime` the fifteenth.
fn fields(stat: &str) -> Option<impl Iterator<Item = &str>> {
    // The last parenthesis ends the name, which may contain parentheses itself.
    Some(stat.rsplit_once(')')?.1.split_whitespace())
}

/// Parses user and system time together.
fn from_stat(stat: &str) -> Option<Duration> {
    let mut times = fields(stat)?.skip(11).map(str::parse::<u32>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some(TICK.saturating_mul(user.saturating_add(system)))
}

/// Parses the number of the parent.
fn parent(stat: &str) -> Option<u32> {
    fields(stat)?.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread: its name, and both times in milliseconds.
    type Times = (&'static str, u64, u64);

    /// Creates a `/proc` with these processes: number, parent, and threads.
    fn proc(processes: &[(u32, u32, &[Times])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (pid, parent, threads) in processes {
            let process = folder.path().join(pid.to_string());
            for ((name, ran, waited), tid) in threads.iter().zip(*pid..) {
                let task = process.join(format!("task/{tid}"));
                fs::create_dir_all(&task).expect("a folder");
                fs::write(task.join("comm"), format!("{name}\n")).expect("written");
                let times = format!("{}000000 {}000000 7\n", ran, waited);
                fs::write(task.join("schedstat"), times).expect("written");
            }
            fs::create_dir_all(&process).expect("a folder");
            let stat = format!("{pid} (a) b) S {parent} 1 1 0 -1 0 0 0 0 0 250 50 0 0");
            fs::write(process.join("stat"), stat).expect("written");
        }
        folder
    }

    fn load(ran: u64, wanted: u64) -> Load {
        Load {
            ran: Duration::from_millis(ran),
            wanted: Duration::from_millis(wanted),
        }
    }

    #[test]
    fn virtual_processors_are_found_below_a_script() {
        let proc = proc(&[
            (7, 1, &[("qemu.sh", 10, 0)]),
            (8, 7, &[("bwrap", 20, 0)]),
            (
                9,
                8,
                &[
                    ("qemu-system-x86", 30, 1),
                    ("CPU 0/TCG", 400, 5),
                    ("CPU 1/TCG", 500, 6),
                ],
            ),
        ]);

        assert_eq!(Meter::at(proc.path(), 7).read(), load(900, 972));
    }

    #[test]
    fn another_qemu_of_this_host_does_not_count() {
        let proc = proc(&[
            (7, 1, &[("qemu.sh", 10, 0)]),
            (9, 1, &[("CPU 0/TCG", 400, 5)]),
        ]);

        assert_eq!(Meter::at(proc.path(), 7).read(), load(0, 10));
    }

    #[test]
    fn late_qemu_is_found() {
        let proc = proc(&[(7, 1, &[("CPU", 10, 0)])]);
        let mut meter = Meter::at(proc.path(), 7);
        let before = meter.read();
        fs::write(proc.path().join("7/task/7/comm"), "CPU 0/KVM\n").expect("written");

        assert_eq!(before, load(0, 10));
        assert_eq!(meter.read(), load(10, 10));
    }

    #[test]
    fn ended_qemu_has_no_time() {
        let proc = proc(&[]);

        assert_eq!(Meter::at(proc.path(), 7).read(), Load::default());
    }

    #[test]
    fn kernel_without_scheduler_statistics_reports_ticks() {
        let proc = proc(&[(7, 1, &[("CPU 0/TCG", 0, 0)])]);
        fs::write(proc.path().join("7/task/7/schedstat"), "0 0 0\n").expect("written");
        fs::copy(
            proc.path().join("7/stat"),
            proc.path().join("7/task/7/stat"),
        )
        .expect("copied");

        assert_eq!(Meter::at(proc.path(), 7).read(), load(3000, 3000));
    }

    #[test]
    fn processor_time_of_this_process_is_read() {
        let began = std::time::Instant::now();
        let me = std::process::id();
        let mut meter = Meter::new(me);
        while meter.read().wanted == Duration::ZERO {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "no time was seen"
            );
        }
    }
}
