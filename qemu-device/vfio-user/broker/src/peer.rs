// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Whole messages over a socket that does not wait.

use std::io::IoSlice;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use ringbar_endpoint::passing;
use ringbar_vfio_user::incoming::Incoming;
use ringbar_vfio_user::wire::{HEADER_SIZE, KERNEL_MAX_FDS};
use ringbar_vfio_user::{Errno, Violation};
use rustix::fs::{fcntl_getfl, statx, AtFlags, OFlags, StatxFlags};

use crate::message::{Descriptor, Message};

/// Most reads of one look at a peer that was left, which may send without end.
const READS: usize = 64;
/// Most bytes that are received at once.
const BUFFER: usize = 64 << 10;

/// A descriptor that several messages and the record share. The last of them closes it.
#[derive(Clone, Debug)]
pub struct SharedFd(Rc<OwnedFd>);

/// A client or a server.
#[derive(Debug)]
pub struct Peer {
    stream: UnixStream,
    incoming: Incoming<OwnedFd>,
    buffer: Vec<u8>,
    /// Bytes of the message in front that the socket has taken.
    sent: usize,
}

/// A peer to which nothing is sent any more, and whose messages are dropped.
#[derive(Debug)]
pub struct Left(UnixStream);

/// A message that has arrived.
#[derive(Debug)]
pub struct Arrived {
    /// The message. Without its payload if that is too long, with some of its descriptors if there
    /// are too many.
    pub message: Message<SharedFd>,
    /// Whether it is longer than any message.
    pub too_long: bool,
    /// Number of descriptors, up to one more than a message may have.
    pub fd_count: usize,
}

/// Reason for which there is no further message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed the connection between two messages.
    Closed,
    /// The peer closed the connection in the middle of a message.
    Truncated,
    /// Its bytes are no message.
    Violation(Violation),
    /// File descriptors were lost.
    Descriptors,
    /// The socket failed.
    Socket(Errno),
}

impl From<OwnedFd> for SharedFd {
    fn from(fd: OwnedFd) -> Self {
        Self(Rc::new(fd))
    }
}

impl AsFd for SharedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Descriptor for SharedFd {
    /// Compares device and inode, and the rights to read and write. A file that the system does not
    /// describe is like no other.
    fn is_same_file(&self, other: &Self) -> bool {
        let (one, two) = (identity(self), identity(other));
        one.is_some() && one == two
    }
}

/// Returns device, inode and rights of an open file. The file system is not asked: the peer may
/// serve it, and never respond.
fn identity(fd: &SharedFd) -> Option<((u32, u32), u64, OFlags)> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let found = statx(fd, c"", flags, StatxFlags::BASIC_STATS).ok()?;
    let rights = fcntl_getfl(fd).ok()? & OFlags::RWMODE;
    Some((
        (found.stx_dev_major, found.stx_dev_minor),
        found.stx_ino,
        rights,
    ))
}

impl Peer {
    /// Takes over a connection, and makes it one that does not wait.
    ///
    /// # Errors
    ///
    /// Fails if the socket does.
    pub fn new(stream: UnixStream) -> Result<Self, Errno> {
        stream
            .set_nonblocking(true)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        let mut incoming = Incoming::new();
        // The server behind knows how many its device takes.
        incoming.accept_fds(KERNEL_MAX_FDS);
        Ok(Self {
            stream,
            incoming,
            buffer: vec![0; BUFFER],
            sent: 0,
        })
    }

    /// Receives a message, as far as it is there: `None` if it is not whole yet.
    ///
    /// # Errors
    ///
    /// Fails if the peer is gone, or later bytes cannot be understood.
    pub fn receive(&mut self) -> Result<Option<Arrived>, End> {
        while !self.incoming.is_complete() {
            let wanted = self.incoming.wanted().min(BUFFER);
            let space = self.buffer.get_mut(..wanted).unwrap_or_default();
            let received = match passing::receive(&self.stream, space) {
                Ok(received) => received,
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::CONNRESET | Errno::PIPE) => return Err(self.end()),
                Err(error) => return Err(End::Socket(error)),
            };
            if received.incomplete {
                return Err(End::Descriptors);
            }
            if received.length == 0 {
                return Err(self.end());
            }
            self.incoming.take_fds(received.fds);
            let mut bytes = space.get(..received.length).unwrap_or_default();
            self.incoming.take(&mut bytes).map_err(End::Violation)?;
        }
        Ok(self.arrived())
    }

    /// Sends a message, as far as the socket takes it. Returns whether the message is out as a
    /// whole. Otherwise the caller must go on with the same message.
    ///
    /// # Errors
    ///
    /// Fails if the socket does.
    pub fn send(&mut self, message: &Message<SharedFd>) -> Result<bool, Errno> {
        let header = message.header.to_bytes();
        let all: Vec<BorrowedFd<'_>> = message.fds.iter().map(AsFd::as_fd).collect();
        while self.sent < message.size() {
            let head = header.get(self.sent..).unwrap_or_default();
            let behind = self.sent.saturating_sub(HEADER_SIZE);
            let tail = message.payload.get(behind..).unwrap_or_default();
            // Descriptors go with the first byte. With the next ones they would be sent again.
            let fds: &[BorrowedFd<'_>] = if self.sent == 0 { &all } else { &[] };
            let pieces = [IoSlice::new(head), IoSlice::new(tail)];
            match passing::send(&self.stream, &pieces, fds) {
                Ok(sent) => self.sent = self.sent.saturating_add(sent),
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.sent = 0;
        Ok(true)
    }

    /// Ends the way to the peer, which then finds the end of its requests.
    pub fn leave(self) -> Left {
        // An error means that the peer has gone.
        let _ = self.stream.shutdown(Shutdown::Write);
        Left(self.stream)
    }

    /// Returns the socket, to wait for it.
    pub fn socket(&self) -> &UnixStream {
        &self.stream
    }

    /// Takes the message that has arrived.
    fn arrived(&mut self) -> Option<Arrived> {
        let header = self.incoming.header()?;
        let arrived = Arrived {
            too_long: self.incoming.is_too_long(),
            fd_count: self.incoming.fd_count(),
            message: Message {
                header,
                payload: self.incoming.payload().into(),
                fds: self.incoming.fds().drain(..).map(SharedFd::from).collect(),
            },
        };
        self.incoming.clear();
        Some(arrived)
    }

    /// Returns the kind of end.
    fn end(&self) -> End {
        match self.incoming.is_empty() {
            true => End::Closed,
            false => End::Truncated,
        }
    }
}

impl Left {
    /// Returns whether the peer has its end of the connection still open. Drops what it has sent.
    pub fn is_there(&mut self) -> bool {
        let mut bytes = [0; 4096];
        for _ in 0..READS {
            match passing::receive(&self.0, &mut bytes) {
                Ok(received) if received.length == 0 => return false,
                Ok(_) => {}
                Err(error) => return error == Errno::AGAIN,
            }
        }
        true
    }
}

impl Arrived {
    /// Checks whether the message has more descriptors than any may have.
    pub fn has_surplus_fds(&self) -> bool {
        self.fd_count > KERNEL_MAX_FDS
    }
}
