// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Messages as bytes, valid and invalid.
//!
//! This module is written from the protocol's document, and shared with no server. Otherwise the
//! conformance kit would have the same errors as a server.

use std::os::fd::OwnedFd;

/// Length of the header.
pub(crate) const HEADER: usize = 16;
/// Bits of the field `flags` that tell commands from replies.
pub(crate) const TYPE_MASK: u32 = 0xf;
/// Type of a reply.
pub(crate) const TYPE_REPLY: u32 = 1;
/// Flag: the client wants no reply.
pub(crate) const NO_REPLY: u32 = 1 << 4;
/// Flag: the command failed.
pub(crate) const ERROR: u32 = 1 << 5;
/// Default of `max_data_xfer_size`, in bytes.
pub(crate) const DEFAULT_TRANSFER: u32 = 1 << 20;
/// Page size that both sides always support.
pub(crate) const PAGE: u64 = 4096;

/// Numbers of the commands.
pub(crate) mod command {
    /// Negotiates version and limits.
    pub(crate) const VERSION: u16 = 1;
    /// Makes client memory reachable.
    pub(crate) const DMA_MAP: u16 = 2;
    /// Makes client memory unreachable.
    pub(crate) const DMA_UNMAP: u16 = 3;
    /// Asks for the number of regions and of interrupt types.
    pub(crate) const GET_INFO: u16 = 4;
    /// Asks for the description of a region.
    pub(crate) const GET_REGION_INFO: u16 = 5;
    /// Asks for the file descriptors of a region's events.
    pub(crate) const GET_REGION_IO_FDS: u16 = 6;
    /// Asks for the description of an interrupt type.
    pub(crate) const GET_IRQ_INFO: u16 = 7;
    /// Connects, masks and raises interrupts.
    pub(crate) const SET_IRQS: u16 = 8;
    /// Reads a region.
    pub(crate) const REGION_READ: u16 = 9;
    /// Writes a region.
    pub(crate) const REGION_WRITE: u16 = 10;
    /// Reads client memory; only servers send it.
    pub(crate) const DMA_READ: u16 = 11;
    /// Writes client memory; only servers send it.
    pub(crate) const DMA_WRITE: u16 = 12;
    /// Resets the device.
    pub(crate) const RESET: u16 = 13;
    /// Number without a meaning in this version, earlier for dirty pages.
    pub(crate) const UNUSED_14: u16 = 14;
    /// Several small writes at once.
    pub(crate) const REGION_WRITE_MULTI: u16 = 15;
    /// Gets, sets or probes a feature.
    pub(crate) const FEATURE: u16 = 16;
    /// Reads migration data.
    pub(crate) const MIG_DATA_READ: u16 = 17;
    /// Writes migration data.
    pub(crate) const MIG_DATA_WRITE: u16 = 18;
    /// First number beyond those of the protocol.
    pub(crate) const FIRST_UNKNOWN: u16 = 19;
}

/// A command to send. Its fields are not checked.
#[derive(Debug)]
pub(crate) struct Request {
    /// Id in the header. If `None`, the kit's client chooses it.
    pub(crate) id: Option<u16>,
    /// Number of the command.
    pub(crate) command: u16,
    /// Size in the header. If `None`, the true size.
    pub(crate) size: Option<u32>,
    /// Flags in the header.
    pub(crate) flags: u32,
    /// Error in the header, which means nothing in a command.
    pub(crate) error: u32,
    /// Bytes behind the header.
    pub(crate) payload: Vec<u8>,
    /// File descriptors that go with the first byte. Our copies are closed once they are sent.
    pub(crate) fds: Vec<OwnedFd>,
}

impl Request {
    /// Makes a command without payload.
    pub(crate) fn new(command: u16) -> Self {
        Self {
            id: None,
            command,
            size: None,
            flags: 0,
            error: 0,
            payload: Vec::new(),
            fds: Vec::new(),
        }
    }

    /// Appends 16 bits.
    pub(crate) fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_ne_bytes())
    }

    /// Appends 32 bits.
    pub(crate) fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_ne_bytes())
    }

    /// Appends 64 bits.
    pub(crate) fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_ne_bytes())
    }

    /// Appends bytes.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.payload.extend_from_slice(bytes);
        self
    }

    /// Changes the payload's length, with zeros if it grows.
    pub(crate) fn length(mut self, length: usize) -> Self {
        self.payload.resize(length, 0);
        self
    }

    /// Replaces the 32 bits at `offset` of the payload. Does nothing if the payload ends before.
    pub(crate) fn with_u32(mut self, offset: usize, value: u32) -> Self {
        if let Some(field) = self.payload.get_mut(offset..offset.saturating_add(4)) {
            field.copy_from_slice(&value.to_ne_bytes());
        }
        self
    }

    /// Replaces the id.
    pub(crate) fn id(mut self, id: u16) -> Self {
        self.id = Some(id);
        self
    }

    /// Replaces the size in the header by a false one.
    pub(crate) fn size(mut self, size: u32) -> Self {
        self.size = Some(size);
        self
    }

    /// Replaces the flags.
    pub(crate) fn flags(mut self, flags: u32) -> Self {
        self.flags = flags;
        self
    }

    /// Sets the flag that no reply is wanted.
    pub(crate) fn no_reply(self) -> Self {
        let flags = self.flags | NO_REPLY;
        self.flags(flags)
    }

    /// Appends a file descriptor.
    pub(crate) fn fd(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.fds.push(fd.into());
        self
    }

    /// Appends file descriptors.
    pub(crate) fn fds(mut self, fds: impl IntoIterator<Item = OwnedFd>) -> Self {
        self.fds.extend(fds);
        self
    }

    /// Returns the bytes of the message, with `id` unless it has one of its own.
    pub(crate) fn to_bytes(&self, id: u16) -> Vec<u8> {
        let true_size = u32::try_from(self.payload.len().saturating_add(HEADER));
        let size = self.size.unwrap_or(true_size.unwrap_or(u32::MAX));
        let mut bytes = Vec::with_capacity(self.payload.len().saturating_add(HEADER));
        bytes.extend(self.id.unwrap_or(id).to_ne_bytes());
        bytes.extend(self.command.to_ne_bytes());
        bytes.extend(size.to_ne_bytes());
        bytes.extend(self.flags.to_ne_bytes());
        bytes.extend(self.error.to_ne_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

/// A received message.
#[derive(Debug)]
pub(crate) struct Message {
    /// Id; that of a reply is the id of its command.
    pub(crate) id: u16,
    /// Number of the command.
    pub(crate) command: u16,
    /// Flags of the header.
    pub(crate) flags: u32,
    /// Error of the header.
    pub(crate) error: u32,
    /// Bytes behind the header.
    pub(crate) payload: Vec<u8>,
    /// File descriptors that came with it.
    pub(crate) fds: Vec<OwnedFd>,
}

impl Message {
    /// Returns whether it is a reply.
    pub(crate) fn is_reply(&self) -> bool {
        self.flags & TYPE_MASK == TYPE_REPLY
    }

    /// Returns whether it reports a failed command.
    pub(crate) fn is_error(&self) -> bool {
        self.flags & ERROR != 0
    }

    /// Returns the 16 bits at `offset` of the payload; 0 if the payload is shorter.
    pub(crate) fn u16(&self, offset: usize) -> u16 {
        u16::from_ne_bytes(self.bytes_at(offset))
    }

    /// Returns the 32 bits at `offset` of the payload; 0 if the payload is shorter.
    pub(crate) fn u32(&self, offset: usize) -> u32 {
        u32::from_ne_bytes(self.bytes_at(offset))
    }

    /// Returns the 64 bits at `offset` of the payload; 0 if the payload is shorter.
    pub(crate) fn u64(&self, offset: usize) -> u64 {
        u64::from_ne_bytes(self.bytes_at(offset))
    }

    fn bytes_at<const N: usize>(&self, offset: usize) -> [u8; N] {
        let rest = self.payload.get(offset..).unwrap_or_default();
        rest.first_chunk().copied().unwrap_or([0; N])
    }
}

/// Returns the size in a header, and the message without its payload; `None` for a short header.
pub(crate) fn parse_header(bytes: &[u8]) -> Option<(u32, Message)> {
    let (header, _) = bytes.split_first_chunk::<HEADER>()?;
    let message = Message {
        id: 0,
        command: 0,
        flags: 0,
        error: 0,
        payload: header.to_vec(),
        fds: Vec::new(),
    };
    Some((
        message.u32(4),
        Message {
            id: message.u16(0),
            command: message.u16(2),
            flags: message.u32(8),
            error: message.u32(12),
            payload: Vec::new(),
            fds: Vec::new(),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_has_its_true_size_unless_it_lies() {
        let request = Request::new(9).u64(1).u32(2);

        assert_eq!(request.to_bytes(7)[..8], [7, 0, 9, 0, 28, 0, 0, 0]);
        assert_eq!(request.size(5).to_bytes(7)[..8], [7, 0, 9, 0, 5, 0, 0, 0]);
    }

    #[test]
    fn header_is_parsed_as_it_was_built() {
        let bytes = Request::new(4).flags(NO_REPLY).id(300).to_bytes(0);

        let (size, message) = parse_header(&bytes).unwrap();

        assert_eq!(size, 16);
        assert_eq!(
            (message.id, message.command, message.flags),
            (300, 4, NO_REPLY)
        );
    }
}
