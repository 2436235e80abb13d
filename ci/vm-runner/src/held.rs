// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the processes of a run hold, so that a test can see whether something is left behind.

use std::fs;
use std::io;

use crate::descendants;

/// What one process holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    /// Name of its program, as the kernel keeps it: at most 15 bytes.
    name: String,
    /// Number of open files.
    files: usize,
    /// Number of shared mappings.
    mappings: usize,
    /// Private memory in KiB.
    memory: u64,
}

/// Returns a line for the guest: `NAME FILES MAPPINGS KIB` of each process below this one, by name,
/// with `; ` between. Fails with the reason if a process cannot be looked at.
pub(crate) fn line() -> Result<String, String> {
    let mut all = Vec::new();
    for pid in descendants::all() {
        match of(pid) {
            Ok(held) => all.push(held),
            // It has ended and was waited for since the list was made.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(format!("cannot look at process {pid}: {error}")),
        }
    }
    all.sort();
    let texts: Vec<_> = all.iter().map(Held::text).collect();
    Ok(texts.join("; "))
}

impl Held {
    fn text(&self) -> String {
        let Self {
            name,
            files,
            mappings,
            memory,
        } = self;
        // A blank would be taken for the end of the name.
        let name = name.replace(char::is_whitespace, "_");
        format!("{name} {files} {mappings} {memory}")
    }
}

/// Looks at a process.
fn of(pid: i32) -> io::Result<Held> {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
    let maps = read("maps")?;
    // The second word has the rights; the last letter of it tells shared from private.
    let is_shared = |line: &&str| {
        let rights = line.split_whitespace().nth(1);
        rights.is_some_and(|rights| rights.ends_with('s'))
    };
    let status = read("status")?;
    let memory = status.lines().find_map(|line| {
        let size = line.strip_prefix("RssAnon:")?;
        size.trim().strip_suffix(" kB")?.parse().ok()
    });
    Ok(Held {
        name: read("comm")?.trim().to_owned(),
        files: fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
        mappings: maps.lines().filter(is_shared).count(),
        // A process that has ended and was not waited for has no memory.
        memory: memory.unwrap_or_default(),
    })
}

/// Returns whether an error means that there is no such process.
fn is_gone(error: &io::Error) -> bool {
    let no_process = rustix::io::Errno::SRCH.raw_os_error();
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(no_process)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::process::{Child, Command, Stdio};

    /// Starts a process that waits, with two files more if `more`. It may have inherited some.
    fn sleeper(more: bool) -> (Child, i32) {
        let files = match more {
            true => "7</dev/null 8</dev/null",
            false => "7<&- 8<&-",
        };
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {files}; echo ready; read line")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let pid = i32::try_from(child.id()).expect("a number");
        // While a program starts, it has the files of its libraries open, one after the other.
        let mut ready = [0; 6];
        let output = child.stdout.as_mut().expect("a pipe");
        output.read_exact(&mut ready).expect("a line");
        (child, pid)
    }

    #[test]
    fn line_of_a_process_has_its_open_files() {
        let [(mut one, with), (mut other, without)] = [true, false].map(sleeper);

        let [with, without] = [with, without].map(|pid| of(pid).expect("it runs"));

        assert_eq!(with.files, without.files + 2);
        assert!(with.memory > 0);
        let text = format!("sh {} {} ", with.files, with.mappings);
        assert!(with.text().starts_with(&text), "{}", with.text());
        for child in [&mut one, &mut other] {
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
    }

    #[test]
    fn process_that_was_not_waited_for_is_there_and_then_gone() {
        let (mut child, pid) = sleeper(false);
        child.kill().expect("killed");
        // Its end is seen when it has no files any more.
        while of(pid).is_ok_and(|held| held.files > 0) {
            std::thread::yield_now();
        }

        let left = of(pid).expect("it was not waited for");
        assert_eq!((left.name.as_str(), left.files, left.memory), ("sh", 0, 0));

        child.wait().expect("ended");
        let gone = of(pid).expect_err("it is gone");
        assert!(is_gone(&gone), "{gone}");
    }

    #[test]
    fn blank_in_a_name_does_not_end_it() {
        let held = Held {
            name: "a b".to_owned(),
            files: 1,
            mappings: 2,
            memory: 3,
        };

        assert_eq!(held.text(), "a_b 1 2 3");
    }
}
