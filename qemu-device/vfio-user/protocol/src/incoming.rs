// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Assembly of messages from portions of any size.
//!
//! A [`Session`](crate::Session) has one for its client. A program between client and server has
//! one for each side.

use crate::refusal::Refusal;
use crate::wire::{
    to_usize, Fields, Header, HEADER_SIZE, KERNEL_MAX_FDS, MAX_FDS, MAX_MESSAGE, TYPE_COMMAND,
    TYPE_MASK, TYPE_REPLY,
};

/// A breach of the protocol after which later bytes cannot be understood, or must not be accepted.
///
/// The caller must close the connection. The session returns the same violation from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The header's size is smaller than the header itself.
    #[error("message of {0} bytes, shorter than its header")]
    Size(u32),
    /// The message is neither command nor reply.
    #[error("message of type {0}, neither command nor reply")]
    Type(u32),
    /// The header's size is larger than any command. The rest of the message could have no end.
    #[error("message of {0} bytes, longer than the longest, of {MAX_MESSAGE}")]
    Length(u32),
    /// The first message was no version message, or one that could not be agreed to.
    #[error("no version was agreed on")]
    NoVersion,
    /// The client ended in the middle of a message.
    #[error("the client ended in the middle of a message")]
    Truncated,
}

/// The message that is arriving, with its file descriptors.
///
/// It keeps no more than the longest message and [`MAX_FDS`] descriptors, or as many as
/// [`accept_fds`](Self::accept_fds) names, whatever the peer sends.
///
/// ```
/// use ringbar_vfio_user::incoming::Incoming;
/// use ringbar_vfio_user::wire::{command, Builder, Header, HEADER_SIZE};
///
/// let mut message = Builder::default();
/// let header = Header { id: 7, command: command::DEVICE_RESET, ..Header::default() };
/// let mut bytes = message.start().u32(1).finish(header);
///
/// let mut incoming: Incoming<u8> = Incoming::new();
/// assert_eq!(incoming.wanted(), HEADER_SIZE);
/// while !bytes.is_empty() {
///     incoming.take(&mut bytes)?;
/// }
/// assert!(incoming.is_complete());
/// assert_eq!(incoming.payload(), 1_u32.to_ne_bytes());
/// # Ok::<(), ringbar_vfio_user::Violation>(())
/// ```
#[derive(Debug)]
pub struct Incoming<Fd> {
    start: Vec<u8>,
    header: Option<Header>,
    payload: Vec<u8>,
    /// Number of bytes of the payload that have not arrived.
    left: usize,
    fds: Vec<Fd>,
    most_fds: usize,
    surplus_fds: bool,
}

impl<Fd> Default for Incoming<Fd> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Fd> Incoming<Fd> {
    /// Makes an empty message.
    pub fn new() -> Self {
        Self {
            start: Vec::with_capacity(HEADER_SIZE),
            header: None,
            payload: Vec::new(),
            left: 0,
            fds: Vec::new(),
            most_fds: MAX_FDS,
            surplus_fds: false,
        }
    }

    /// Keeps this many descriptors of a message from now on, up to [`KERNEL_MAX_FDS`].
    pub fn accept_fds(&mut self, most: usize) {
        self.most_fds = most.min(KERNEL_MAX_FDS);
    }

    /// Empties the message for the next one.
    pub fn clear(&mut self) {
        self.start.clear();
        self.header = None;
        self.payload.clear();
        self.left = 0;
        // Closes descriptors that the command did not take.
        self.fds.clear();
        self.surplus_fds = false;
    }

    /// Returns the header, once it is complete.
    pub fn header(&self) -> Option<Header> {
        self.header
    }

    /// Returns the bytes behind the header that have arrived; none of a message that is too long.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Returns the file descriptors of the message, to be taken out. The others are closed by
    /// [`clear`](Self::clear).
    pub fn fds(&mut self) -> &mut Vec<Fd> {
        &mut self.fds
    }

    /// Checks whether no byte of the message has arrived.
    pub fn is_empty(&self) -> bool {
        self.start.is_empty()
    }

    /// Returns the number of bytes that are kept.
    pub fn kept(&self) -> usize {
        self.start.len().saturating_add(self.payload.len())
    }

    /// Checks whether the message has arrived as a whole.
    pub fn is_complete(&self) -> bool {
        self.header.is_some() && self.left == 0
    }

    /// Checks whether the message is longer than any command.
    pub fn is_too_long(&self) -> bool {
        self.header
            .is_some_and(|header| to_usize(header.size) > MAX_MESSAGE)
    }

    /// Returns the number of bytes up to the end of the header or the payload; 0 if the message has
    /// arrived as a whole.
    ///
    /// The caller must read at most this many bytes at a time. Otherwise descriptors can be
    /// attributed to the wrong message.
    pub fn wanted(&self) -> usize {
        match self.header {
            None => HEADER_SIZE.saturating_sub(self.start.len()),
            Some(_) => self.left,
        }
    }

    /// Keeps the descriptors that one message may have. The others are dropped, and so closed.
    pub fn take_fds(&mut self, fds: impl IntoIterator<Item = Fd>) {
        for fd in fds {
            if self.fds.len() < self.most_fds {
                self.fds.push(fd);
            } else {
                // Noted, not refused here: the command that gets them is not known before its
                // header is complete.
                self.surplus_fds = true;
            }
        }
    }

    /// Returns the number of descriptors, up to one more than a message may have.
    pub fn fd_count(&self) -> usize {
        self.fds.len().saturating_add(usize::from(self.surplus_fds))
    }

    /// Takes bytes up to the end of the header or the payload out of `bytes`.
    ///
    /// # Errors
    ///
    /// Fails if the header is none, so that the end of the message cannot be told.
    pub fn take(&mut self, bytes: &mut &[u8]) -> Result<(), Violation> {
        let (taken, rest) = bytes.split_at(self.wanted().min(bytes.len()));
        *bytes = rest;
        match self.header {
            None => {
                self.start.extend_from_slice(taken);
                if let Some(header) = Header::parse(&self.start) {
                    self.left = check_header(header)?;
                    self.header = Some(header);
                }
            }
            Some(_) => {
                self.left = self.left.saturating_sub(taken.len());
                // A message that is too long is read to its end, so that the next one is found. It
                // is not kept, as its length is the client's and has no bound.
                if !self.is_too_long() {
                    self.payload.extend_from_slice(taken);
                }
            }
        }
        Ok(())
    }

    /// Returns the payload, if it has at least `least` bytes.
    pub(crate) fn fields(&self, least: usize) -> Result<Fields<'_>, Refusal> {
        if self.payload.len() < least {
            return Err(self.wrong_size(least));
        }
        Ok(Fields(&self.payload))
    }

    /// Makes the refusal of a payload of the wrong size.
    pub(crate) fn wrong_size(&self, needed: usize) -> Refusal {
        Refusal::Payload {
            size: self.payload.len(),
            needed,
        }
    }
}

/// Returns the size of the payload. Fails if the end of the message cannot be told.
fn check_header(header: Header) -> Result<usize, Violation> {
    let kind = header.flags & TYPE_MASK;
    if kind != TYPE_COMMAND && kind != TYPE_REPLY {
        return Err(Violation::Type(kind));
    }
    to_usize(header.size)
        .checked_sub(HEADER_SIZE)
        .ok_or(Violation::Size(header.size))
}
