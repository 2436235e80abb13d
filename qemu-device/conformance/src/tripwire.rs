// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Sees from the outside whether a server closed a descriptor.

use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use crate::client::wait;
use crate::outcome::{ensure, local, Outcome};

/// The reading end of a pipe. Once nobody has the writing end, the kernel says so.
#[derive(Debug)]
pub struct Tripwire(PipeReader);

impl Tripwire {
    /// The wire, and the descriptor to send away. It must not be kept.
    pub fn new() -> Outcome<(Self, OwnedFd)> {
        let (reader, writer) = local(std::io::pipe(), "pipe")?;
        Ok((Self(reader), writer.into()))
    }

    /// The wire, and `count` descriptors to send away.
    pub fn many(count: usize) -> Outcome<(Self, Vec<OwnedFd>)> {
        let (wire, fd) = Self::new()?;
        let mut fds = Vec::with_capacity(count);
        for _ in 1..count {
            fds.push(crate::requests::duplicate(&fd)?);
        }
        fds.push(fd);
        Ok((wire, fds))
    }

    /// The server must close what it got.
    pub fn closed(&self, timeout: Duration) -> Outcome {
        let closed = wait(&self.0, PollFlags::empty(), Instant::now() + timeout)?;
        ensure(closed, || "a descriptor is still open in the server".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_tells_open_from_closed() {
        let (wire, fds) = Tripwire::many(3).unwrap();

        assert!(wire.closed(Duration::from_millis(1)).is_err());
        drop(fds);
        assert!(wire.closed(Duration::from_secs(10)).is_ok());
    }
}
