// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The server under judgement, and its restarts.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use crate::client::Client;
use crate::outcome::{fail, local, Outcome};
use crate::survey::Survey;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(2);
/// Time that a server may take to end after it closed a connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// The server under judgement.
#[derive(Debug)]
pub struct Target {
    socket: PathBuf,
    timeout: Duration,
    command: Option<ServerCommand>,
    child: Option<Child>,
    starts: usize,
    /// The server ends well with its client, and must be started for each.
    one_shot: bool,
    /// The running server has had a client.
    used: bool,
}

/// A descriptor of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenFile {
    /// Its number.
    pub(crate) number: u32,
    /// Its name in the kernel.
    pub(crate) name: String,
    /// Whether a program that the server executes would inherit it.
    pub(crate) inherited: bool,
}

impl OpenFile {
    /// Reads an entry of the process. Returns `None` if it was closed meanwhile.
    fn read(pid: u32, info: &Path) -> Option<Self> {
        let number = info.file_name()?.to_str()?.parse().ok()?;
        let name = fs::read_link(format!("/proc/{pid}/fd/{number}")).ok()?;
        let text = fs::read_to_string(info).ok()?;
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let flags = u32::from_str_radix(flags.trim(), 8).ok()?;
        Some(Self {
            number,
            name: name.to_string_lossy().into_owned(),
            inherited: flags & OFlags::CLOEXEC.bits() == 0,
        })
    }
}

/// Command that starts the server.
///
/// ```
/// use ringbar_conformance::target::ServerCommand;
///
/// let command = ServerCommand {
///     line: "my-server --socket /tmp/s".to_owned(),
///     log: None,
/// };
/// ```
#[derive(Debug)]
pub struct ServerCommand {
    /// A shell command.
    pub line: String,
    /// File for its output. Without one, the output is dropped.
    pub log: Option<File>,
}

impl Target {
    /// Makes a target that listens on `socket` by itself, or that `command` starts. It counts as
    /// hung after `timeout` without an answer.
    pub fn new(socket: PathBuf, timeout: Duration, command: Option<ServerCommand>) -> Self {
        Self {
            socket,
            timeout,
            command,
            child: None,
            starts: 0,
            one_shot: false,
            used: false,
        }
    }

    /// Returns how often the kit started the server.
    pub(crate) fn starts(&self) -> usize {
        self.starts
    }

    /// Returns the time after which the server counts as hung.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Connects. Starts the server first, if it does not run and the kit has its command.
    pub(crate) fn connect(&mut self, survey: &Rc<Survey>) -> Outcome<Client> {
        let deadline = Instant::now() + self.timeout;
        if self.one_shot && self.used {
            self.ends_well(deadline);
        }
        loop {
            match Client::connect(&self.socket, self.timeout, Rc::clone(survey)) {
                Ok(client) => {
                    self.used = true;
                    return Ok(client);
                }
                Err(error) if !is_absent(&error) || Instant::now() > deadline => {
                    return fail(format!("connect: {error}"));
                }
                Err(error) if self.command.is_none() => {
                    return fail(format!(
                        "connect: {error}; the server is gone, --server-command would restart it"
                    ));
                }
                Err(_) => self.keep_running()?,
            }
            thread::sleep(PAUSE);
        }
    }

    /// Makes a connection that has negotiated.
    pub(crate) fn session(&mut self, survey: &Rc<Survey>) -> Outcome<Client> {
        let mut client = self.connect(survey)?;
        match client.negotiate() {
            // A one-shot server may have accepted this connection just before it ended.
            Err(_) if !self.one_shot && self.ends_well(Instant::now() + PATIENCE) => {
                client = self.connect(survey)?;
                client.negotiate()?;
            }
            result => drop(result?),
        }
        Ok(client)
    }

    /// Waits for the server to end well, if the kit started it.
    fn ends_well(&mut self, deadline: Instant) -> bool {
        while let Some(child) = &mut self.child {
            match child.try_wait() {
                Ok(None) if Instant::now() < deadline => thread::sleep(PAUSE),
                Ok(Some(status)) if status.success() => {
                    self.child = None;
                    self.one_shot = true;
                }
                _ => break,
            }
        }
        self.child.is_none() && self.one_shot
    }

    /// Ends the server, if the kit started it.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // An error means that it has ended by itself.
            let _ended = child.kill();
            let _status = child.wait();
        }
    }

    /// Returns the server's exit status, if it ended with another one than 0.
    ///
    /// A server that serves one client and ends well with it is started again.
    pub(crate) fn crash(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        self.one_shot |= status.success();
        (!status.success()).then_some(status)
    }

    /// Returns the open descriptors of the server's process, if this process may see them.
    pub(crate) fn open_files(&self) -> Option<Vec<OpenFile>> {
        let pid = self.pid()?;
        let entries = fs::read_dir(format!("/proc/{pid}/fdinfo")).ok()?;
        Some(
            entries
                .filter_map(|entry| OpenFile::read(pid, &entry.ok()?.path()))
                .collect(),
        )
    }

    /// Returns the peak memory of the server's process in bytes, if this process may see it.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kilobytes.checked_mul(1024)
    }

    /// Returns the process that listens, unless it is this one.
    fn pid(&self) -> Option<u32> {
        let pid = match &self.child {
            Some(child) => child.id(),
            None => {
                let stream = UnixStream::connect(&self.socket).ok()?;
                let peer = rustix::net::sockopt::socket_peercred(&stream).ok()?;
                peer.pid.as_raw_nonzero().get().try_into().ok()?
            }
        };
        (pid != std::process::id()).then_some(pid)
    }

    /// Starts the server if it has ended.
    fn keep_running(&mut self) -> Outcome {
        if let Some(child) = &mut self.child {
            match local(child.try_wait(), "waiting for the server")? {
                None => return Ok(()),
                Some(status) if status.success() => self.one_shot = true,
                Some(status) => {
                    self.child = None;
                    return fail(format!("the server ended: {status}"));
                }
            }
        }
        if let Some(command) = &self.command {
            remove_socket(&self.socket);
            self.child = Some(local(command.start(), "starting the server")?);
            self.starts = self.starts.saturating_add(1);
            self.used = false;
        }
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.stop();
    }
}

impl ServerCommand {
    fn start(&self) -> io::Result<Child> {
        let log = || match &self.log {
            Some(file) => file.try_clone().map(Stdio::from),
            None => Ok(Stdio::null()),
        };
        Command::new("sh")
            .arg("-c")
            // With `exec`, the child is the server itself and not a shell.
            .arg(format!("exec {}", self.line))
            .stdin(Stdio::null())
            .stdout(log()?)
            .stderr(log()?)
            .spawn()
    }
}

/// Returns whether no server listens yet.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// Removes the socket of a server that could not remove it.
fn remove_socket(path: &Path) {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
    if is_socket {
        // Another process may have removed it.
        let _gone = fs::remove_file(path);
    }
}
