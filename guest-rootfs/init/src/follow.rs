// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Passes each line of a program's output to a callback until the program has ended.
//!
//! It stops when the program ends, not when its output does: a process that the program leaves
//! behind may hold the output open for ever.

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::{fcntl_getfl, fcntl_setfl, fstat, OFlags};
use rustix::process::{pidfd_open, Pid, PidfdFlags};
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ChildStdout, ExitStatus};
use std::time::Duration;

/// Bytes per read.
const READ_SIZE: usize = 4096;
/// Reads in a row: as many as empty a pipe, and one that sees whether its writers have closed it.
const MAX_READS: usize = 16 + 1;

/// Result of following a program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    /// Status of the program. `None` if it had not ended when `patience` returned `None`.
    pub(crate) status: Option<ExitStatus>,
    /// Inode of the output pipe, if another process still has it open for writing.
    pub(crate) held: Option<u64>,
}

/// Calls `line` for each line that `child` prints. `patience` returns how long to wait without an
/// event before it is called again; `None` ends the following.
pub(crate) fn follow(
    child: &mut Child,
    mut patience: impl FnMut() -> Option<Duration>,
    mut line: impl FnMut(&str),
) -> io::Result<Followed> {
    // A pidfd, so that one `poll` waits for the end of the program and for its output.
    let end = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let mut output = Output::of(child.stdout.take())?;
    let mut has_ended = false;
    while !has_ended {
        let Some(limit) = patience() else {
            output.finish(&mut line);
            return Ok(Followed {
                status: None,
                held: None,
            });
        };
        loop {
            let events = output.wait(&end, limit)?;
            has_ended = events.end;
            output.pass_on(&mut line)?;
            if events.end || events.none {
                break;
            }
        }
    }
    let status = child.wait()?;
    output.finish(&mut line);
    Ok(Followed {
        status: Some(status),
        held: output.held()?,
    })
}

/// Result of a wait.
struct Events {
    end: bool,
    none: bool,
}

/// Output of a program.
struct Output {
    /// `None` once all writers have closed it.
    pipe: Option<ChildStdout>,
    /// Bytes that were read, without the line feed that ends their line.
    rest: Vec<u8>,
}

impl Output {
    /// Takes the pipe and makes it non-blocking, so that a read never waits for a writer.
    fn of(pipe: Option<ChildStdout>) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
        }
        Ok(Self {
            pipe,
            rest: Vec::new(),
        })
    }

    /// Waits until there is output, the program has ended, or `limit` has passed.
    fn wait(&self, end: &OwnedFd, limit: Duration) -> io::Result<Events> {
        let mut files = vec![PollFd::new(end, PollFlags::IN)];
        files.extend(
            self.pipe
                .as_ref()
                .map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)),
        );
        let limit = Timespec::try_from(limit).unwrap_or(Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        });
        let ready = match poll(&mut files, Some(&limit)) {
            Ok(ready) => ready,
            Err(rustix::io::Errno::INTR) => 0,
            Err(errno) => return Err(errno.into()),
        };
        let end = files.first().is_some_and(|file| !file.revents().is_empty());
        Ok(Events {
            end,
            none: ready == 0,
        })
    }

    /// Passes on the output that is there, but little more than a pipe holds. Without this limit, a
    /// program that never stops writing would keep init from seeing that it has ended.
    fn pass_on(&mut self, line: &mut impl FnMut(&str)) -> io::Result<()> {
        for _ in 0..MAX_READS {
            let Some(pipe) = &mut self.pipe else { break };
            let mut bytes = [0; READ_SIZE];
            match pipe.read(&mut bytes) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.rest.extend(bytes.iter().take(count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let bytes: Vec<u8> = self.rest.drain(..=end).collect();
            line(String::from_utf8_lossy(&bytes).trim_end_matches('\n'));
        }
        Ok(())
    }

    /// Passes on a last line without a line feed.
    fn finish(&mut self, line: &mut impl FnMut(&str)) {
        if !self.rest.is_empty() {
            line(&String::from_utf8_lossy(&std::mem::take(&mut self.rest)));
        }
    }

    /// Returns the inode of the pipe if it is still open for writing.
    fn held(&self) -> io::Result<Option<u64>> {
        let inode = |pipe| fstat(pipe).map(|stat| stat.st_ino);
        Ok(self.pipe.as_ref().map(inode).transpose()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{waitid, WaitId, WaitIdOptions};
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    const SOON: Duration = Duration::from_millis(10);

    /// Follows a shell script. Returns its output as well.
    fn followed(
        script: &str,
        patience: impl FnMut() -> Option<Duration>,
    ) -> (Followed, Vec<String>, Child) {
        let mut shell = Command::new("sh");
        let mut child = shell
            .args(["-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut lines = Vec::new();
        let followed = follow(&mut child, patience, |line| lines.push(line.to_owned()));
        (followed.expect("it is followed"), lines, child)
    }

    #[test]
    fn lines_are_passed_on_and_the_end_is_reported() {
        let (followed, lines, _) = followed("echo a; echo b; printf c; exit 3", || Some(SOON));

        assert_eq!(lines, ["a", "b", "c"]);
        assert_eq!(followed.status.and_then(|status| status.code()), Some(3));
        assert_eq!(followed.held, None);
    }

    #[test]
    fn output_larger_than_a_pipe_arrives_complete() {
        let (_, lines, _) = followed("seq 100000", || Some(SOON));

        assert_eq!(lines.len(), 100_000);
        assert_eq!(lines.last().map(String::as_str), Some("100000"));
    }

    #[test]
    fn program_has_ended_although_its_child_holds_its_output() {
        let (followed, lines, _) = followed("echo a; sleep 1000 & echo $!", || Some(SOON));

        assert_eq!(followed.status, Some(ExitStatus::from_raw(0)));
        assert!(followed.held.is_some());
        let sleeper = lines[1]
            .parse()
            .ok()
            .and_then(Pid::from_raw)
            .expect("a number");
        rustix::process::kill_process(sleeper, rustix::process::Signal::KILL).expect("killed");
    }

    #[test]
    fn pipe_that_was_full_at_the_end_is_not_held() {
        let mut shell = Command::new("sh");
        let mut child = shell
            .args(["-c", "exec head -c 65536 /dev/zero"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let id = WaitId::Pid(Pid::from_child(&child));
        waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).expect("it ends");

        let followed = follow(&mut child, || Some(SOON), |_| ()).expect("it is followed");

        assert_eq!(followed.status, Some(ExitStatus::from_raw(0)));
        assert_eq!(followed.held, None);
    }

    #[test]
    fn program_that_closes_its_output_is_waited_for() {
        let (followed, _, _) = followed("exec >&-; sleep 0.2; exit 4", || Some(SOON));

        assert_eq!(followed.status.and_then(|status| status.code()), Some(4));
    }

    #[test]
    fn abandoned_program_still_gives_its_output() {
        let mut asked = 0;
        let patience = || {
            asked += 1;
            // Many times, so that a shell without processor time at first can still print.
            (asked < 500).then_some(SOON)
        };
        let (followed, lines, mut child) = followed("printf a; exec sleep 1000", patience);

        assert_eq!(followed.status, None);
        assert_eq!(lines, ["a"]);
        child.kill().expect("killed");
        child.wait().expect("it ends");
    }
}
