// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The server's own requests: reading and writing memory of the client.
//!
//! They are for memory that came without a file. The client may be unable to answer while it waits
//! for a reply of the server. So no request is sent while a reply is due: no method of
//! [`Device`](crate::Device) has a way to reach this type.

use std::collections::BTreeMap;

use rustix::io::Errno;

use crate::session::{Answer, ClientLimits};
use crate::wire::{command, Builder, Fields, Header, FLAG_ERROR, MAX_TRANSFER, TYPE_COMMAND};

/// Most requests that wait for an answer at once.
pub const MAX_PENDING: usize = 64;

/// The requests that the client has not answered.
///
/// ```
/// use ringbar_vfio_user::requests::{NotSent, Requests};
/// use ringbar_vfio_user::session::ClientLimits;
///
/// let mut requests = Requests::default();
/// let (ticket, message) = requests.read(0x1000, 64, ClientLimits::default()).unwrap();
/// assert_eq!(message.len(), 32); // to send; `complete` takes the answer
/// requests.forget(ticket);
/// let refused = requests.read(0x1000, 0, ClientLimits::default());
/// assert!(matches!(refused, Err(NotSent::Transfer { count: 0, .. })));
/// ```
#[derive(Debug, Default)]
pub struct Requests {
    next: u16,
    pending: BTreeMap<u16, Pending>,
    outgoing: Builder,
}

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct Pending {
    command: u16,
    address: u64,
    count: usize,
}

/// Name of a request until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u16);

/// Reason for which a request cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSent {
    /// The length is 0, or longer than one message transfers.
    #[error("transfer of {count} bytes, the limit is {limit}")]
    Transfer {
        /// Length.
        count: usize,
        /// Most bytes that both sides take.
        limit: u64,
    },
    /// Too many requests wait.
    #[error("{MAX_PENDING} requests wait for an answer")]
    Busy,
}

/// An answer to no request, or to another one than its number names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unexpected {
    /// No request has this number.
    #[error("answer to message {0}, which does not wait for one")]
    Id(u16),
    /// The request with this number was another one.
    #[error("answer to {}, but {} was asked", command::Name(*.answer), command::Name(*.request))]
    Command {
        /// Command of the answer.
        answer: u16,
        /// Command of the request.
        request: u16,
    },
}

/// A request that is over.
#[derive(Debug, PartialEq, Eq)]
pub struct Completed<'a> {
    /// Name of the request.
    pub ticket: Ticket,
    /// The bytes read, none for a write; or the client's error.
    pub result: Result<&'a [u8], Errno>,
}

impl Requests {
    /// Builds a message that reads `count` bytes of the client's memory.
    pub fn read(
        &mut self,
        address: u64,
        count: usize,
        client: ClientLimits,
    ) -> Result<(Ticket, &[u8]), NotSent> {
        self.request(command::DMA_READ, address, count, &[], client)
    }

    /// Builds a message that writes to the client's memory.
    pub fn write(
        &mut self,
        address: u64,
        data: &[u8],
        client: ClientLimits,
    ) -> Result<(Ticket, &[u8]), NotSent> {
        self.request(command::DMA_WRITE, address, data.len(), data, client)
    }

    /// Takes the client's answer to a request.
    ///
    /// An answer with the wrong length, address or count ends its request with [`Errno::PROTO`].
    ///
    /// # Errors
    ///
    /// Fails if no request has the answer's number, or the request was of another command.
    pub fn complete<'a>(&mut self, answer: &Answer<'a>) -> Result<Completed<'a>, Unexpected> {
        let id = answer.header.id;
        let pending = *self.pending.get(&id).ok_or(Unexpected::Id(id))?;
        // The request stays pending: the right answer may still come.
        if answer.header.command != pending.command {
            return Err(Unexpected::Command {
                answer: answer.header.command,
                request: pending.command,
            });
        }
        // The client's count and bytes are checked against the request: a short answer would leave
        // the rest of the buffer unread.
        let result = if answer.header.flags & FLAG_ERROR != 0 {
            Err(error(answer.header.error))
        } else {
            pending.data(answer.payload).ok_or(Errno::PROTO)
        };
        self.pending.remove(&id);
        Ok(Completed {
            ticket: Ticket(id),
            result,
        })
    }

    /// Forgets a request. An answer to it is unexpected from now on.
    pub fn forget(&mut self, ticket: Ticket) {
        self.pending.remove(&ticket.0);
    }

    /// Returns the number of requests that wait for an answer.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Builds a request and notes that it waits for its answer.
    fn request(
        &mut self,
        command: u16,
        address: u64,
        count: usize,
        data: &[u8],
        client: ClientLimits,
    ) -> Result<(Ticket, &[u8]), NotSent> {
        let limit = client.transfer.min(MAX_TRANSFER as u64);
        let wide = u64::try_from(count).unwrap_or(u64::MAX);
        // The smaller of both limits. The client would refuse a longer request, and the session
        // drops the bytes of a longer answer.
        if wide == 0 || wide > limit {
            return Err(NotSent::Transfer { count, limit });
        }
        // A client that never answers must not make the server allocate without bound.
        if self.pending.len() >= MAX_PENDING {
            return Err(NotSent::Busy);
        }
        // Ends, as there are more numbers than pending requests. A number that is in use would give
        // two requests the same answer.
        while self.pending.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let id = self.next;
        self.next = id.wrapping_add(1);
        self.pending.insert(
            id,
            Pending {
                command,
                address,
                count,
            },
        );
        self.outgoing.start().u64(address).u64(wide).bytes(data);
        let header = Header {
            id,
            command,
            flags: TYPE_COMMAND,
            ..Header::default()
        };
        Ok((Ticket(id), self.outgoing.finish(header)))
    }
}

impl Pending {
    /// Returns the bytes of an answer, if it fits this request.
    fn data<'a>(&self, payload: &'a [u8]) -> Option<&'a [u8]> {
        let mut fields = Fields(payload);
        if fields.u64()? != self.address {
            return None;
        }
        let wide = u64::try_from(self.count).ok()?;
        if self.command == command::DMA_READ {
            return (fields.u64()? == wide && fields.rest().len() == self.count)
                .then_some(fields.rest());
        }
        // The specification has a count of 32 bits here, QEMU one of 64. Both are accepted.
        let count = match fields.rest().len() {
            4 => fields.u32().map(u64::from),
            8 => fields.u64(),
            _ => None,
        };
        (count? == wide).then_some(&[])
    }
}

/// Returns the client's error number, or EIO if it is none.
fn error(number: u32) -> Errno {
    match i32::try_from(number) {
        Ok(number @ 1..=4095) => Errno::from_raw_os_error(number),
        _ => Errno::IO,
    }
}
