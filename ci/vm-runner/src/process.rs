// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Child processes. Each has a process group of its own, and ends with all that belong to it.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{
    kill_process, kill_process_group, waitid, Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus,
};

use crate::connections::{self, Connections};
use crate::death_signal;

/// Time between two looks at a process that must end.
const STEP: Duration = Duration::from_millis(5);

/// End of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It ended with an exit status.
    Status(i32),
    /// A signal ended it.
    Signal(i32),
}

impl End {
    /// Returns whether it ended with status 0.
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

/// Returns the name of a signal, if it is a common one.
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

/// A running child. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: bool,
    end: Option<End>,
    /// Sockets of a killed process that may still run.
    connections: Option<Connections>,
    /// Whether it was waited for. Its number may then belong to another process.
    gone: bool,
}

impl Process {
    /// Starts a program in its own process group. Its output goes to `log`.
    pub(crate) fn start(command: &mut Command, log: &File) -> io::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .process_group(0);
        Self::spawn(command, true)
    }

    /// Starts a program on this terminal. It stays in the runner's process group, so that it may
    /// read the terminal. Its messages go to `log`, because the guest owns the terminal.
    pub(crate) fn start_on_terminal(command: &mut Command, log: File) -> io::Result<Self> {
        command.stderr(log);
        Self::spawn(command, false)
    }

    /// Starts the process. The caller must be the main thread: children die with the thread that
    /// started them.
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

    /// Returns its number. No other process has it while this value exists.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns how it ended, if it has.
    ///
    /// The process stays a zombie (`NOWAIT`). As long as it is one, no other process gets its
    /// number or group. So signals never reach a stranger.
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

    /// Sends SIGTERM, and SIGKILL if it has not ended within `grace`.
    pub(crate) fn stop(&mut self, grace: Duration) {
        self.signal(Signal::TERM);
        // A stopped process handles SIGTERM only after SIGCONT.
        self.signal(Signal::CONT);
        let deadline = Instant::now() + grace;
        while self.end().is_none() && Instant::now() < deadline {
            sleep(STEP);
        }
        // Even if it has ended: others of its group may still run.
        self.kill_and_wait();
    }

    /// Kills it. Its sockets are closed after its end, when [`Process::end`] sees that.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        // Before the signal: the kernel closes the sockets when the process ends.
        self.connections = self.pid().map(Connections::of).transpose()?;
        self.signal(Signal::KILL);
        Ok(())
    }

    /// Kills it and waits for its end. Sockets that others hold too stay open.
    pub(crate) fn kill_and_wait(&mut self) {
        self.signal(Signal::KILL);
        if let Ok(status) = self.child.wait() {
            self.end.get_or_insert(End::from(status));
            self.gone = true;
        }
    }

    /// Returns one more descriptor of the connection that it accepted on the socket at `path`, if it
    /// runs and has one.
    pub(crate) fn connection(&mut self, path: &Path) -> io::Result<Option<UnixStream>> {
        match self.pid().filter(|_| self.end().is_none()) {
            Some(pid) => connections::accepted(pid, path),
            None => Ok(None),
        }
    }

    /// Kills it, and with it its sockets.
    pub(crate) fn kill_at_once(&mut self) {
        self.signal(Signal::KILL);
    }

    /// Stops it until [`Process::go_on`], without the others of its group.
    ///
    /// A shell waits for the `exec` of its child (vfork) and cannot stop meanwhile. A child that is
    /// stopped before it would keep the shell from ever being stopped.
    pub(crate) fn pause(&self) {
        if let Some(pid) = self.pid().filter(|_| !self.gone) {
            // An error means that the process is not left.
            let _ = kill_process(pid, Signal::STOP);
        }
    }

    /// Stops its group as well, once it is stopped itself.
    pub(crate) fn pause_group(&self) {
        self.signal(Signal::STOP);
    }

    /// Continues it.
    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Returns whether it is stopped.
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
        // An error means that no process is left.
        let _ = if self.group {
            kill_process_group(pid, signal)
        } else {
            kill_process(pid, signal)
        };
    }

    /// Returns its number as rustix expects it.
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
