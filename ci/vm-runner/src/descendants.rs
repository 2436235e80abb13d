// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Ends processes that children left behind.
//!
//! A process that leaves its group escapes signals to the group. So the runner is the "subreaper"
//! of all its descendants. Orphans become its children, and it can end them.

use std::collections::HashSet;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{
    getpid, kill_process, set_child_subreaper, waitpid, Pid, Signal, WaitOptions,
};

use crate::error::Error;

/// Longest time for killing. A killed process ends at once, unless the kernel holds it.
const LIMIT: Duration = Duration::from_secs(5);

/// Ends the remaining children when dropped.
#[derive(Debug)]
pub(crate) struct Descendants {
    /// Children that existed before the run. They do not belong to it.
    foreign: HashSet<i32>,
}

impl Descendants {
    /// Makes the runner the parent of all orphans below it.
    pub(crate) fn adopt() -> Result<Self, Error> {
        set_child_subreaper(Some(getpid())).map_err(|errno| Error::System {
            action: "becoming the parent of orphans",
            source: errno.into(),
        })?;
        Ok(Self {
            foreign: children().into_iter().collect(),
        })
    }

    /// Kills the children and their children, until none is left.
    pub(crate) fn end(&self) {
        let deadline = Instant::now() + LIMIT;
        // In a loop: the children of a killed process become children of this one.
        while Instant::now() < deadline {
            let mut ours = children();
            ours.retain(|pid| !self.foreign.contains(pid));
            if ours.is_empty() {
                return;
            }
            for pid in ours.into_iter().filter_map(Pid::from_raw) {
                // An error means that the process has ended meanwhile.
                let _ = kill_process(pid, Signal::KILL);
                let _ = waitpid(Some(pid), WaitOptions::NOHANG);
            }
            sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Descendants {
    fn drop(&mut self) {
        self.end();
    }
}

/// Returns the numbers of all processes below this one.
pub(crate) fn all() -> Vec<i32> {
    let parents: Vec<_> = processes()
        .into_iter()
        .filter_map(|pid| Some((pid, parent(pid)?)))
        .collect();
    let mut found = vec![me()];
    loop {
        let is_new =
            |&&(pid, parent): &&(i32, i32)| found.contains(&parent) && !found.contains(&pid);
        let more: Vec<_> = parents.iter().filter(is_new).map(|(pid, _)| *pid).collect();
        if more.is_empty() {
            break;
        }
        found.extend(more);
    }
    found.remove(0);
    found
}

/// Returns the numbers of all processes whose parent is this one.
fn children() -> Vec<i32> {
    let mut all = processes();
    all.retain(|pid| parent(*pid) == Some(me()));
    all
}

/// Returns the number of this process.
fn me() -> i32 {
    getpid().as_raw_nonzero().get()
}

/// Returns the numbers of all processes.
fn processes() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Returns the parent of a process.
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The last parenthesis ends the name, which may contain parentheses itself. State and parent
    // follow.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn child_of_a_child_is_among_all() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 1000 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let grandchild: i32 = line.trim().parse().expect("a number");

        let found = all();

        let pid = i32::try_from(child.id()).expect("a number");
        assert!(found.contains(&pid) && found.contains(&grandchild));
        assert!(!found.contains(&me()));
        let grandchild = Pid::from_raw(grandchild).expect("not 0");
        kill_process(grandchild, Signal::KILL).expect("killed");
        child.wait().expect("ended");
    }
}
