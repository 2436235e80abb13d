// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A whole message.

use std::rc::Rc;

use ringbar_vfio_user::wire::{
    Fields, Header, FLAG_ERROR, FLAG_NO_REPLY, HEADER_SIZE, TYPE_COMMAND, TYPE_MASK, TYPE_REPLY,
};
use ringbar_vfio_user::Errno;

/// A file descriptor that several messages can share.
pub trait Descriptor: Clone {
    /// Checks whether both open the same file, with the same rights.
    fn is_same_file(&self, other: &Self) -> bool;
}

/// A message as it came, or as it is to be sent. A clone shares bytes and descriptors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<Fd> {
    /// Its header. The size in it is that of the message, except for a message of a client that is
    /// longer than any, whose payload is not kept.
    pub header: Header,
    /// Bytes behind the header.
    pub payload: Rc<[u8]>,
    /// Descriptors that go with its first byte.
    pub fds: Vec<Fd>,
}

impl<Fd> Message<Fd> {
    /// Makes a request.
    pub fn request(id: u16, command: u16, payload: Rc<[u8]>, fds: Vec<Fd>) -> Self {
        let header = Header {
            id,
            command,
            size: message_size(&payload),
            flags: TYPE_COMMAND,
            error: 0,
        };
        Self {
            header,
            payload,
            fds,
        }
    }

    /// Makes the reply to this request: success, with these bytes behind the header.
    pub fn reply(&self, payload: &[u8]) -> Self {
        Self {
            header: Header {
                size: message_size(payload),
                flags: TYPE_REPLY,
                error: 0,
                ..self.header
            },
            payload: payload.into(),
            fds: Vec::new(),
        }
    }

    /// Makes the reply to this request that refuses it.
    pub fn refusal(&self, errno: Errno) -> Self {
        let mut reply = self.reply(&[]);
        reply.header.flags = TYPE_REPLY | FLAG_ERROR;
        // QEMU takes an error 0 for success.
        reply.header.error = errno.raw_os_error().unsigned_abs().max(1);
        reply
    }

    /// Checks whether this is a reply.
    pub fn is_reply(&self) -> bool {
        self.header.flags & TYPE_MASK == TYPE_REPLY
    }

    /// Checks whether this is a reply that refuses.
    pub fn is_error(&self) -> bool {
        self.is_reply() && self.header.flags & FLAG_ERROR != 0
    }

    /// Checks whether the sender of this request waits for a reply.
    pub fn wants_reply(&self) -> bool {
        !self.is_reply() && self.header.flags & FLAG_NO_REPLY == 0
    }

    /// Returns the payload as fields.
    pub fn fields(&self) -> Fields<'_> {
        Fields(&self.payload)
    }

    /// Returns the number of bytes that are kept.
    pub fn size(&self) -> usize {
        HEADER_SIZE.saturating_add(self.payload.len())
    }
}

/// Returns the size of a message for its header.
fn message_size(payload: &[u8]) -> u32 {
    // The longest message is far below 4 GiB.
    u32::try_from(HEADER_SIZE.saturating_add(payload.len())).unwrap_or(u32::MAX)
}
