// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Detects from the outside whether a server closed a descriptor.

use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{epoll, PollFlags, Timespec};

use crate::client::wait;
use crate::outcome::{ensure, local, Outcome};

/// The reading end of a pipe. The kernel reports when no process has the writing end any more.
#[derive(Debug)]
pub(crate) struct Tripwire(PipeReader);

impl Tripwire {
    /// Makes a wire, and the descriptor to send away. The caller must not keep the descriptor.
    pub(crate) fn new() -> Outcome<(Self, OwnedFd)> {
        let (reader, writer) = local(std::io::pipe(), "pipe")?;
        Ok((Self(reader), writer.into()))
    }

    /// Makes a wire, and `count` descriptors to send away.
    pub(crate) fn many(count: usize) -> Outcome<(Self, Vec<OwnedFd>)> {
        let (wire, fd) = Self::new()?;
        let mut fds = Vec::with_capacity(count);
        for _ in 1..count {
            fds.push(crate::requests::duplicate(&fd)?);
        }
        fds.push(fd);
        Ok((wire, fds))
    }

    /// Fails unless the server closes what it received.
    pub(crate) fn closed(&self, timeout: Duration) -> Outcome {
        let closed = wait(&self.0, PollFlags::empty(), Instant::now() + timeout)?;
        ensure(closed, || "a descriptor is still open in the server".into())
    }
}

/// A wire on an eventfd of another process. A signalled eventfd stays ready in epoll until its last
/// descriptor is closed.
#[derive(Debug)]
pub(crate) struct EventTripwire(OwnedFd);

impl EventTripwire {
    /// Makes a wire, and the eventfd to send away. The caller must not keep the eventfd.
    pub(crate) fn new() -> Outcome<(Self, OwnedFd)> {
        let event = crate::requests::event()?;
        let watch = local(epoll::create(epoll::CreateFlags::CLOEXEC), "epoll_create")?;
        let data = epoll::EventData::new_u64(0);
        local(
            epoll::add(&watch, &event, data, epoll::EventFlags::IN),
            "epoll_ctl",
        )?;
        local(rustix::io::write(&event, &1_u64.to_ne_bytes()), "eventfd")?;
        Ok((Self(watch), event))
    }

    /// Fails unless the server closes what it received.
    pub(crate) fn closed(&self, timeout: Duration) -> Outcome {
        let deadline = Instant::now() + timeout;
        while self.is_ready()? {
            // The close of the eventfd wakes no waiter, so this polls.
            ensure(Instant::now() < deadline, || {
                "an eventfd is still open in the server".into()
            })?;
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn is_ready(&self) -> Outcome<bool> {
        let mut events = Vec::with_capacity(1);
        let now = Timespec::default();
        let buffer = rustix::buffer::spare_capacity(&mut events);
        local(epoll::wait(&self.0, buffer, Some(&now)), "epoll_wait").map(|count| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_distinguishes_open_from_closed() {
        let (wire, fds) = Tripwire::many(3).unwrap();

        assert!(wire.closed(Duration::from_millis(1)).is_err());
        drop(fds);
        assert!(wire.closed(Duration::from_secs(10)).is_ok());
    }

    #[test]
    fn wire_of_an_eventfd_distinguishes_open_from_closed() {
        let (wire, event) = EventTripwire::new().unwrap();
        let copy = event.try_clone().unwrap();
        drop(event);

        assert!(wire.closed(Duration::from_millis(1)).is_err());
        drop(copy);
        assert!(wire.closed(Duration::from_secs(10)).is_ok());
    }
}
