// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The time that a child has had: processor time of it and of its descendants, and the time in which
//! none of them wanted a processor. A busy machine does not make it longer, as it would the time on a
//! clock.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use procfs::process::{all_processes, Process, Stat};

/// States of a thread that wants a processor, or that waits for the disk: `R` and `D`.
const BUSY: [char; 2] = ['R', 'D'];

/// Time of a child and its descendants.
#[derive(Debug)]
pub(crate) struct Effort {
    root: i32,
    last: Look,
    waited: Duration,
    computed: Duration,
}

/// What one look at the processes has shown.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    processor: Duration,
}

impl Effort {
    /// Begins to count for the process `root`.
    pub(crate) fn begin(root: i32) -> Self {
        Self {
            root,
            last: Look {
                at: Instant::now(),
                processor: processor(&processes(root)),
            },
            waited: Duration::ZERO,
            computed: Duration::ZERO,
        }
    }

    /// Looks at the processes again. Returns the time so far.
    pub(crate) fn look(&mut self) -> Duration {
        let processes = processes(self.root);
        let now = Look {
            at: Instant::now(),
            processor: processor(&processes),
        };
        // Time of a process that its parent has not waited for is lost with it, so the sum may fall.
        let computed = now.processor.saturating_sub(self.last.processor);
        if computed.is_zero() && !processes.iter().any(wants_processor) {
            self.waited = self.waited.saturating_add(now.at - self.last.at);
        }
        self.computed = self.computed.saturating_add(computed);
        self.last = now;
        self.computed.saturating_add(self.waited)
    }
}

/// Returns the process `root` and its descendants, as far as they can be read.
fn processes(root: i32) -> Vec<Stat> {
    let mut children: HashMap<i32, Vec<Stat>> = HashMap::new();
    let mut found = Vec::new();
    // A process that ends meanwhile is left out.
    let all = all_processes().into_iter().flatten().flatten();
    for stat in all.filter_map(|process| process.stat().ok()) {
        if stat.pid == root {
            found.push(stat);
        } else {
            children.entry(stat.ppid).or_default().push(stat);
        }
    }
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        let below = children.remove(&parent).unwrap_or_default();
        next.extend(below.iter().map(|stat| stat.pid));
        found.extend(below);
    }
    found
}

/// Checks whether any thread of a process wants a processor. The state of the process is that of its
/// first thread alone.
fn wants_processor(process: &Stat) -> bool {
    let tasks = Process::new(process.pid).and_then(|process| process.tasks());
    let mut states = tasks
        .into_iter()
        .flatten()
        .filter_map(|task| Some(task.ok()?.stat().ok()?.state));
    states.any(|state| BUSY.contains(&state))
}

/// Returns the processor time of these processes, and of their children that have ended.
fn processor(processes: &[Stat]) -> Duration {
    let ticks: u64 = processes.iter().map(ticks).sum();
    let per_second = procfs::ticks_per_second().max(1);
    Duration::from_secs_f64(ticks as f64 / per_second as f64)
}

/// Returns the ticks of a process and of its children that have ended.
fn ticks(stat: &Stat) -> u64 {
    let children = stat.cutime.saturating_add(stat.cstime);
    stat.utime
        .saturating_add(stat.stime)
        .saturating_add(u64::try_from(children).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{kill_process_group, Pid, Signal};
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command};
    use std::thread::sleep;

    /// A look of these tests: often enough that the first one does not decide.
    const LOOK: Duration = Duration::from_millis(20);

    /// Starts a shell with a script.
    fn shell(script: &str) -> Child {
        Command::new("/bin/sh")
            .args(["-c", script])
            .process_group(0)
            .spawn()
            .expect("a shell")
    }

    /// Looks until `enough`, and ends the child.
    fn look_until(mut child: Child, enough: impl Fn(&Effort, Duration) -> bool) {
        let mut effort = Effort::begin(i32::try_from(child.id()).expect("a number"));
        loop {
            let time = effort.look();
            if enough(&effort, time) {
                break;
            }
            assert!(matches!(child.try_wait(), Ok(None)), "the child has ended");
            sleep(LOOK);
        }
        // With the grandchild.
        kill_process_group(Pid::from_child(&child), Signal::KILL).expect("a group to end");
        child.wait().expect("an end");
    }

    #[test]
    fn time_of_a_child_that_sleeps_counts() {
        look_until(shell("exec sleep 1000"), |_, time| {
            time >= Duration::from_millis(200)
        });
    }

    #[test]
    fn processor_time_of_a_grandchild_counts() {
        let count = "n=0; while [ $n -lt 1000000 ]; do n=$((n+1)); done";
        look_until(
            shell(&format!("sh -c '{count}'; exec sleep 1000")),
            |effort, _| effort.computed >= Duration::from_millis(100),
        );
    }

    #[test]
    fn processor_time_of_a_child_that_has_ended_counts() {
        let count = "n=0; while [ $n -lt 200000 ]; do n=$((n+1)); done";
        look_until(
            shell(&format!("sh -c '{count}'; exec sleep 1000")),
            // The shell sleeps after its child has ended.
            |effort, _| effort.waited >= LOOK && effort.computed >= Duration::from_millis(20),
        );
    }

    #[test]
    fn time_in_which_a_process_wants_a_processor_does_not_count_as_waited() {
        // This process runs while it looks, and its first thread may wait for this one.
        let mut effort = Effort::begin(i32::try_from(std::process::id()).expect("a number"));
        for _ in 0..5 {
            sleep(LOOK);
            effort.look();
        }
        assert_eq!(effort.waited, Duration::ZERO);
    }
}
