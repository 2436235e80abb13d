// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Messages that the server sends of itself: reading and writing memory of the client.
//!
//! They are for memory that came without a file. The client may be unable to answer as long as it
//! waits for a reply of ours: so they are never sent while one is due, that is from no method of
//! [`Device`](crate::Device), which has no way to reach this type.

use std::collections::BTreeMap;

use rustix::io::Errno;

use crate::session::{Answer, ClientLimits};
use crate::wire::{command, Builder, Fields, Header, FLAG_ERROR, MAX_TRANSFER, TYPE_COMMAND};

/// Most requests that wait for an answer at once.
pub const MAX_PENDING: usize = 64;

/// The requests that the client has not answered.
#[derive(Debug, Default)]
pub struct Requests {
    next: u16,
    pending: BTreeMap<u16, Pending>,
    outgoing: Builder,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    command: u16,
    address: u64,
    count: usize,
}

/// Names a request until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u16);

/// Why a request cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// Nothing, or more than one message transfers.
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

/// The client answered something that nobody asked, or not as it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// Which one.
    pub ticket: Ticket,
    /// The bytes read, none for a write; or why not.
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
    /// An answer of another length, address or count than it should have ends its request with
    /// [`Errno::PROTO`].
    pub fn complete<'a>(&mut self, answer: &Answer<'a>) -> Result<Completed<'a>, Unexpected> {
        let id = answer.header.id;
        let pending = *self.pending.get(&id).ok_or(Unexpected::Id(id))?;
        if answer.header.command != pending.command {
            return Err(Unexpected::Command {
                answer: answer.header.command,
                request: pending.command,
            });
        }
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

    /// Forgets a request; an answer to it is unexpected from now on.
    pub fn forget(&mut self, ticket: Ticket) {
        self.pending.remove(&ticket.0);
    }

    /// How many wait for an answer.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

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
        if wide == 0 || wide > limit {
            return Err(NotSent::Transfer { count, limit });
        }
        if self.pending.len() >= MAX_PENDING {
            return Err(NotSent::Busy);
        }
        // There are more numbers than requests.
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
    /// The bytes that an answer brings, if it is one to this request.
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
        // The specification has a count of 32 bits here, QEMU one of 64.
        let count = match fields.rest().len() {
            4 => fields.u32().map(u64::from),
            8 => fields.u64(),
            _ => None,
        };
        (count? == wide).then_some(&[])
    }
}

fn error(number: u32) -> Errno {
    match i32::try_from(number) {
        Ok(number @ 1..=4095) => Errno::from_raw_os_error(number),
        _ => Errno::IO,
    }
}
