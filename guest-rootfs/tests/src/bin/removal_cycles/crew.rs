// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The children, as their parent handles them.

use crate::child::Role;
use crate::region::Region;
use ringbar_client::Device;
use ringbar_tests::{arguments, PATIENCE};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A child at work. Killed when dropped.
pub(crate) struct Member {
    what: &'static str,
    process: Child,
    line: UnixStream,
}

impl Member {
    /// Starts a child and waits until it is ready.
    pub(crate) fn start(device: &Device, role: Role, regions: &[Region]) -> Self {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let file = device.file().try_clone().expect("the file can be shared");
        let process = Command::new("/proc/self/exe")
            .args([arguments::AS, role.name()])
            .args(regions.iter().map(Region::to_word))
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::from(file))
            .spawn()
            .expect("the program can start itself");
        ours.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        let member = Self {
            what: role.name(),
            process,
            line: ours,
        };
        (&member.line)
            .read_exact(&mut [0])
            .unwrap_or_else(|error| panic!("{} does not get ready: {error}", member.what));
        member
    }

    /// Returns the child's role, for messages.
    pub(crate) fn what(&self) -> &'static str {
        self.what
    }

    /// Sends a byte: first to begin, later because the device is gone. Ignores a child that has
    /// already ended.
    pub(crate) fn tell(&mut self) {
        let _sent = self.line.write_all(b"!");
    }

    /// Waits for the child's end and returns its status. Panics after [`PATIENCE`].
    pub(crate) fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait().expect("a child of ours") {
                return status;
            }
            thread::sleep(Duration::from_millis(1));
        }
        panic!(
            "{} still runs {PATIENCE:?} after the device went",
            self.what
        );
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // The kill fails if the child has already ended.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}
