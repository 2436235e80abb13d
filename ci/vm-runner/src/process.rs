// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Child processes: started in groups of their own, ended with all that belongs to them.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{
    kill_process, kill_process_group, waitid, Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus,
};

use crate::connections::Connections;
use crate::death_signal;

/// Time between two looks at a process that is to end.
const STEP: Duration = Duration::from_millis(5);

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With an exit status.
    Status(i32),
    /// By a signal.
    Signal(i32),
}

impl End {
    /// Whether it ended as a program does that has nothing to complain about.
    pub(crate) fn is_good(self) -> bool {
        self == Self::Status(0)
    }
}

impl From<&WaitIdStatus> for End {
    fn from(status: &WaitIdStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Self::Status(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Status(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => write!(f, "exit status {code}"),
            Self::Signal(number) => write!(f, "signal {number}{}", signal_name(*number)),
        }
    }
}

fn signal_name(number: i32) -> &'static str {
    match Signal::from_named_raw(number) {
        Some(Signal::ABORT) => " (SIGABRT)",
        Some(Signal::BUS) => " (SIGBUS)",
        Some(Signal::HUP) => " (SIGHUP)",
        Some(Signal::ILL) => " (SIGILL)",
        Some(Signal::INT) => " (SIGINT)",
        Some(Signal::KILL) => " (SIGKILL)",
        Some(Signal::SEGV) => " (SIGSEGV)",
        Some(Signal::SYS) => " (SIGSYS)",
        Some(Signal::TERM) => " (SIGTERM)",
        _ => "",
    }
}

/// A running child. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: bool,
    end: Option<End>,
    /// Those of a process that was killed and may not have ended.
    connections: Option<Connections>,
    /// Waited for: the number may belong to somebody else.
    gone: bool,
}

impl Process {
    /// Starts a program in a process group of its own, with its output in `log`.
    pub(crate) fn start(command: &mut Command, log: &File) -> io::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .process_group(0);
        Self::spawn(command, true)
    }

    /// Starts a program on this terminal, in the runner's own group, so that it may read there. What it
    /// says for people goes to `log`: the terminal is the guest's.
    pub(crate) fn start_on_terminal(command: &mut Command, log: File) -> io::Result<Self> {
        command.stderr(log);
        Self::spawn(command, false)
    }

    /// Must be called on the main thread: the children die with the thread that started them.
    fn spawn(command: &mut Command, group: bool) -> io::Result<Self> {
        death_signal::die_with_parent(command);
        Ok(Self {
            child: command.spawn()?,
            group,
            end: None,
            connections: None,
            gone: false,
        })
    }

    /// Its number, which is nobody else's as long as this is there.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    ///
    /// It stays on the kernel's list: while it is there, its number and that of its group belong to
    /// nobody else, and signals reach the right ones.
    pub(crate) fn end(&mut self) -> Option<End> {
        if self.end.is_none() {
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            let status = self
                .pid()
                .and_then(|pid| waitid(WaitId::Pid(pid), look).ok());
            self.end = status.flatten().map(|status| End::from(&status));
            if self.end.is_some() {
                self.connections = None;
            }
        }
        self.end
    }

    /// Asks it to end, and does not only ask if it does not within `grace`.
    pub(crate) fn stop(&mut self, grace: Duration) {
        self.signal(Signal::TERM);
        // One that is stopped would not hear it.
        self.signal(Signal::CONT);
        let deadline = Instant::now() + grace;
        while self.end().is_none() && Instant::now() < deadline {
            sleep(STEP);
        }
        self.signal(Signal::KILL);
        if let Ok(status) = self.child.wait() {
            self.end.get_or_insert(End::from(status));
            self.gone = true;
        }
    }

    /// Kills it. Its sockets are closed when it has ended and [`Process::end`] has seen it.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.connections = self.pid().map(Connections::of).transpose()?;
        self.signal(Signal::KILL);
        Ok(())
    }

    /// Stops it: it does nothing until it is told to go on.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether it is stopped.
    pub(crate) fn is_paused(&self) -> bool {
        let look = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = self.pid().map(|pid| waitid(WaitId::Pid(pid), look));
        matches!(status, Some(Ok(Some(status))) if status.stopped())
    }

    /// Sends a signal to the process and its group.
    fn signal(&self, signal: Signal) {
        let Some(pid) = self.pid().filter(|_| !self.gone) else {
            return;
        };
        // An error means that there is nobody left, which is what is wanted.
        let _ = if self.group {
            kill_process_group(pid, signal)
        } else {
            kill_process(pid, signal)
        };
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.gone {
            self.stop(Duration::from_millis(500));
        }
    }
}
