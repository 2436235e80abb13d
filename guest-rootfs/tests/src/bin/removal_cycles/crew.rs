// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The children, as their parent sees them.

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

/// A child at work. Ended when dropped.
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

    /// What it is, for messages.
    pub(crate) fn what(&self) -> &'static str {
        self.what
    }

    /// Says that it is time: to begin, or later that the device is gone. A child that has ended
    /// does not hear it.
    pub(crate) fn tell(&mut self) {
        let _heard = self.line.write_all(b"!");
    }

    /// How it ends. Panics if it does not.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait().expect("a child of ours") {
                return status;
            }
            thread::sleep(Duration::from_millis(1));
        }
        panic!("{} goes on without a device", self.what);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}
