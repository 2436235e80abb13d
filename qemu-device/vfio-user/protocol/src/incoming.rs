// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Putting messages together from what arrives, in whatever portions.

use crate::refusal::Refusal;
use crate::wire::{
    to_usize, Fields, Header, HEADER_SIZE, MAX_FDS, MAX_MESSAGE, TYPE_COMMAND, TYPE_MASK,
    TYPE_REPLY,
};

/// The client broke the protocol so that what follows cannot be understood, or must not be heard.
///
/// The connection is to be closed. The session answers everything else the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The message says that it is shorter than its header.
    #[error("message of {0} bytes, shorter than its header")]
    Size(u32),
    /// The message is neither command nor reply.
    #[error("message of type {0}, neither command nor reply")]
    Type(u32),
    /// The first message was not a version message that could be agreed to.
    #[error("no version was agreed on")]
    NoVersion,
    /// The client ended in the middle of a message.
    #[error("the client ended in the middle of a message")]
    Truncated,
}

/// The message that is arriving.
#[derive(Debug)]
pub(crate) struct Incoming<Fd> {
    start: Vec<u8>,
    header: Option<Header>,
    payload: Vec<u8>,
    /// Bytes of the payload that have not come yet.
    left: usize,
    fds: Vec<Fd>,
    surplus_fds: bool,
}

impl<Fd> Incoming<Fd> {
    pub(crate) fn new() -> Self {
        Self {
            start: Vec::with_capacity(HEADER_SIZE),
            header: None,
            payload: Vec::new(),
            left: 0,
            fds: Vec::new(),
            surplus_fds: false,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.start.clear();
        self.header = None;
        self.payload.clear();
        self.left = 0;
        self.fds.clear();
        self.surplus_fds = false;
    }

    /// The header, once it is complete.
    pub(crate) fn header(&self) -> Option<Header> {
        self.header
    }

    /// What has come behind the header; nothing of a message that is too long.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The file descriptors that came along, for the command to take.
    pub(crate) fn fds(&mut self) -> &mut Vec<Fd> {
        &mut self.fds
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start.is_empty()
    }

    pub(crate) fn kept(&self) -> usize {
        self.start.len().saturating_add(self.payload.len())
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.header.is_some() && self.left == 0
    }

    pub(crate) fn is_too_long(&self) -> bool {
        self.header
            .is_some_and(|header| to_usize(header.size) > MAX_MESSAGE)
    }

    pub(crate) fn wanted(&self) -> usize {
        match self.header {
            None => HEADER_SIZE.saturating_sub(self.start.len()),
            Some(_) => self.left,
        }
    }

    /// Keeps what one message may have; the rest is dropped, and with it closed.
    pub(crate) fn take_fds(&mut self, fds: impl IntoIterator<Item = Fd>) {
        for fd in fds {
            if self.fds.len() < MAX_FDS {
                self.fds.push(fd);
            } else {
                self.surplus_fds = true;
            }
        }
    }

    pub(crate) fn fd_count(&self) -> usize {
        self.fds.len().saturating_add(usize::from(self.surplus_fds))
    }

    /// Takes bytes up to the end of the header or the payload.
    pub(crate) fn take(&mut self, bytes: &mut &[u8]) -> Result<(), Violation> {
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
                // What is too long is read to its end, but not kept.
                if !self.is_too_long() {
                    self.payload.extend_from_slice(taken);
                }
            }
        }
        Ok(())
    }

    /// The payload, if it has at least `least` bytes.
    pub(crate) fn fields(&self, least: usize) -> Result<Fields<'_>, Refusal> {
        if self.payload.len() < least {
            return Err(self.wrong_size(least));
        }
        Ok(Fields(&self.payload))
    }

    pub(crate) fn wrong_size(&self, needed: usize) -> Refusal {
        Refusal::Payload {
            size: self.payload.len(),
            needed,
        }
    }
}

/// The size of the payload, if the message can be told from the next one.
fn check_header(header: Header) -> Result<usize, Violation> {
    let kind = header.flags & TYPE_MASK;
    if kind != TYPE_COMMAND && kind != TYPE_REPLY {
        return Err(Violation::Type(kind));
    }
    to_usize(header.size)
        .checked_sub(HEADER_SIZE)
        .ok_or(Violation::Size(header.size))
}
