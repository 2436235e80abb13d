// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One child process: a script or a tool, with its output in a file.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{kill_process_group, Pid, Signal};

use crate::error::Error;
use crate::interrupt::Interrupt;

/// Time between two looks at a child.
const LOOK: Duration = Duration::from_millis(200);

/// Time in which a child may clean up: the runner ends QEMU and its servers.
const GRACE: Duration = Duration::from_secs(30);

/// End of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It ended with status 0.
    Good,
    /// It ended otherwise.
    Bad,
    /// The caller's look ended it.
    Cut,
}

/// A command with its output in a file.
#[derive(Debug)]
pub(crate) struct Step {
    command: Command,
    program: String,
    log: PathBuf,
    results: Option<PathBuf>,
}

impl Step {
    /// Creates a step that runs `program` in `folder`, with the output in `log`.
    pub(crate) fn new(program: &Path, folder: &Path, log: PathBuf) -> Self {
        let mut command = Command::new(program);
        // A group of its own: Ctrl-C on the terminal reaches this program alone, which then ends the
        // children in its own order.
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .process_group(0);
        Self {
            command,
            program: program.display().to_string(),
            log,
            results: None,
        }
    }

    /// Has the standard output go to another file.
    pub(crate) fn results(mut self, path: PathBuf) -> Self {
        self.results = Some(path);
        self
    }

    /// Adds arguments.
    pub(crate) fn args<S: AsRef<std::ffi::OsStr>>(
        mut self,
        args: impl IntoIterator<Item = S>,
    ) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable of the child.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs the step to its end. `look` is called meanwhile with the child's number; when it returns
    /// `true`, the child is ended. Fails if a signal came, and with it the child has ended.
    pub(crate) fn watch(
        mut self,
        interrupt: &Interrupt,
        mut look: impl FnMut(u32) -> Result<bool, Error>,
    ) -> Result<End, Error> {
        interrupt.check()?;
        let errors = File::create(&self.log).map_err(Error::file(&self.log))?;
        let output = match &self.results {
            Some(path) => File::create(path).map_err(Error::file(path))?,
            None => errors.try_clone().map_err(Error::file(&self.log))?,
        };
        let start = |source| Error::Start {
            program: self.program.clone(),
            source,
        };
        let mut child = self
            .command
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(start)?;
        loop {
            if let Some(status) = child.try_wait().map_err(start)? {
                // It may have ended because of the same signal.
                interrupt.check()?;
                return Ok(if status.success() {
                    End::Good
                } else {
                    End::Bad
                });
            }
            if interrupt.came() {
                end(&mut child, GRACE);
                return Err(Error::Stopped);
            }
            if look(child.id())? {
                end(&mut child, GRACE);
                return Ok(End::Cut);
            }
            sleep(LOOK);
        }
    }

    /// Runs the step, which must succeed. `what` names it in the error.
    pub(crate) fn must(self, what: &str, interrupt: &Interrupt) -> Result<(), Error> {
        let log = self.log.clone();
        match self.watch(interrupt, |_| Ok(false))? {
            End::Good => Ok(()),
            End::Bad | End::Cut => Err(Error::Failed {
                what: what.to_owned(),
                log,
            }),
        }
    }
}

/// Ends a child with all in its group, and waits for it. `grace` is the time in which it may clean up.
fn end(child: &mut Child, grace: Duration) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let kill = |signal| {
        // The group may have ended meanwhile, which is as good.
        let _ = group.map(|group| kill_process_group(group, signal));
    };
    // Not Ctrl-C: a shell starts what runs in its background with that signal ignored.
    kill(Signal::TERM);
    let began = Instant::now();
    while matches!(child.try_wait(), Ok(None)) && began.elapsed() < grace {
        sleep(LOOK);
    }
    kill(Signal::KILL);
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    /// Returns a shell that runs `script`, in a folder of its own.
    fn shell(folder: &Path, script: &str) -> Step {
        Step::new(Path::new("/bin/sh"), folder, folder.join("log")).args(["-c", script])
    }

    #[test]
    fn output_is_in_the_log_and_the_status_is_returned() {
        let folder = tempfile::tempdir().expect("a folder");
        let end = shell(folder.path(), "echo out; echo err >&2; exit 3")
            .watch(&Interrupt::default(), |_| Ok(false))
            .expect("an end");
        assert_eq!(end, End::Bad);
        let log = std::fs::read_to_string(folder.path().join("log")).expect("a log");
        assert_eq!(log, "out\nerr\n");
    }

    #[test]
    fn look_ends_the_child() {
        let folder = tempfile::tempdir().expect("a folder");
        let end = shell(folder.path(), "sleep 1000; true")
            .watch(&Interrupt::default(), |_| Ok(true))
            .expect("an end");
        assert_eq!(end, End::Cut);
    }

    #[test]
    fn child_that_ignores_the_signal_is_killed() {
        let folder = tempfile::tempdir().expect("a folder");
        let script = "trap '' TERM; echo ready; while :; do sleep 1000; done";
        let mut step = shell(folder.path(), script);
        let mut child = step
            .command
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let mut output = child.stdout.take().expect("an output");
        let mut ready = [0; 5];
        output.read_exact(&mut ready).expect("a line");
        end(&mut child, Duration::ZERO);
        assert!(matches!(child.try_wait(), Ok(Some(_))));
    }
}
