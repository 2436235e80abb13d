// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Layout of messages: header, commands, flags, and reading and writing of fields.
//!
//! All numbers are in the byte order of the host, as client and server run on the same one.

/// Length of the header at the start of each message.
pub const HEADER_SIZE: usize = 16;
/// Most bytes that one message reads from or writes to a region or the client's memory.
pub const MAX_TRANSFER: usize = 1 << 20;
/// Longest message: a transfer with its fixed fields.
pub const MAX_MESSAGE: usize = HEADER_SIZE + 16 + MAX_TRANSFER;
/// Length of the shortest message that takes file descriptors: `DEVICE_SET_IRQS` without data.
///
/// A server may receive this many bytes at the beginning of a message. If descriptors come with
/// them, they belong to the last message that begins there: one that ends earlier takes none.
pub const SHORTEST_WITH_FDS: usize = HEADER_SIZE + 20;
/// Most file descriptors of one message, but for a device with more interrupts. QEMU takes no larger
/// limit from a server.
pub const MAX_FDS: usize = 16;
/// Most file descriptors of any message: the kernel delivers no more with one piece of data.
pub const KERNEL_MAX_FDS: usize = 253;
/// Most DMA mappings at once: QEMU's own limit.
pub const MAX_DMA_MAPS: usize = 65_535;
/// Smallest page of a DMA mapping.
pub const PAGE_SIZE: u64 = 4096;

/// Bits of [`Header::flags`] that tell commands from replies.
pub const TYPE_MASK: u32 = 0xf;
/// Type of a message that is a request.
pub const TYPE_COMMAND: u32 = 0;
/// Type of a message that is a reply.
pub const TYPE_REPLY: u32 = 1;
/// Flag of a command: the sender waits for no reply.
pub const FLAG_NO_REPLY: u32 = 1 << 4;
/// Flag of a reply: the command failed, [`Header::error`] has the error number.
pub const FLAG_ERROR: u32 = 1 << 5;

/// Flag of a DMA mapping, beside those of VFIO: the file is to be mapped.
pub const DMA_MAP_FLAG_MMAP: u32 = 1 << 2;
/// Flag of a DMA mapping: the file is to be read and written, and cannot be mapped.
pub const DMA_MAP_FLAG_FILE_IO: u32 = 1 << 3;

/// Numbers of the commands.
pub mod command {
    use std::fmt;

    /// Negotiates version and limits; the first message.
    pub const VERSION: u16 = 1;
    /// Makes memory of the client reachable.
    pub const DMA_MAP: u16 = 2;
    /// Makes memory of the client unreachable.
    pub const DMA_UNMAP: u16 = 3;
    /// Asks for the number of regions and interrupt types.
    pub const DEVICE_GET_INFO: u16 = 4;
    /// Asks for size, rights and file of a region.
    pub const DEVICE_GET_REGION_INFO: u16 = 5;
    /// Asks for event descriptors of a region.
    pub const DEVICE_GET_REGION_IO_FDS: u16 = 6;
    /// Asks for the number of interrupts of a type.
    pub const DEVICE_GET_IRQ_INFO: u16 = 7;
    /// Connects, masks or raises interrupts.
    pub const DEVICE_SET_IRQS: u16 = 8;
    /// Reads from a region.
    pub const REGION_READ: u16 = 9;
    /// Writes to a region.
    pub const REGION_WRITE: u16 = 10;
    /// Reads memory of the client; sent by the server.
    pub const DMA_READ: u16 = 11;
    /// Writes memory of the client; sent by the server.
    pub const DMA_WRITE: u16 = 12;
    /// Resets the device.
    pub const DEVICE_RESET: u16 = 13;
    /// Asked for pages that were written, in older versions.
    pub const DIRTY_PAGES: u16 = 14;
    /// Writes many times to regions.
    pub const REGION_WRITE_MULTI: u16 = 15;
    /// Asks for or sets a feature of VFIO.
    pub const DEVICE_FEATURE: u16 = 16;
    /// Reads the state of a device that migrates.
    pub const MIG_DATA_READ: u16 = 17;
    /// Writes the state of a device that migrates.
    pub const MIG_DATA_WRITE: u16 = 18;

    /// A command that shows itself by name, or by number if it is unknown.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Name(pub u16);

    impl fmt::Display for Name {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self.0 {
                VERSION => "VERSION",
                DMA_MAP => "DMA_MAP",
                DMA_UNMAP => "DMA_UNMAP",
                DEVICE_GET_INFO => "DEVICE_GET_INFO",
                DEVICE_GET_REGION_INFO => "DEVICE_GET_REGION_INFO",
                DEVICE_GET_REGION_IO_FDS => "DEVICE_GET_REGION_IO_FDS",
                DEVICE_GET_IRQ_INFO => "DEVICE_GET_IRQ_INFO",
                DEVICE_SET_IRQS => "DEVICE_SET_IRQS",
                REGION_READ => "REGION_READ",
                REGION_WRITE => "REGION_WRITE",
                DMA_READ => "DMA_READ",
                DMA_WRITE => "DMA_WRITE",
                DEVICE_RESET => "DEVICE_RESET",
                DIRTY_PAGES => "DIRTY_PAGES",
                REGION_WRITE_MULTI => "REGION_WRITE_MULTI",
                DEVICE_FEATURE => "DEVICE_FEATURE",
                MIG_DATA_READ => "MIG_DATA_READ",
                MIG_DATA_WRITE => "MIG_DATA_WRITE",
                other => return write!(f, "command {other}"),
            })
        }
    }
}

/// Start of each message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Number of the sender's choice, repeated in the reply.
    pub id: u16,
    /// One of [`command`].
    pub command: u16,
    /// Length of the message with its header, in bytes.
    pub size: u32,
    /// Type and flags.
    pub flags: u32,
    /// Error number, in a reply with [`FLAG_ERROR`].
    pub error: u32,
}

impl Header {
    /// Parses a header; `None` if there are fewer than [`HEADER_SIZE`] bytes.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        Some(Self {
            id: fields.u16()?,
            command: fields.u16()?,
            size: fields.u32()?,
            flags: fields.u32()?,
            error: fields.u32()?,
        })
    }

    /// Returns the header as bytes of a message.
    pub fn to_bytes(self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        let fields = self
            .id
            .to_ne_bytes()
            .into_iter()
            .chain(self.command.to_ne_bytes())
            .chain(self.size.to_ne_bytes())
            .chain(self.flags.to_ne_bytes())
            .chain(self.error.to_ne_bytes());
        for (byte, value) in bytes.iter_mut().zip(fields) {
            *byte = value;
        }
        bytes
    }
}

/// Fields of a payload, taken one after the other. Each is a copy.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// Takes the next 16 bits; `None` if fewer are left.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_ne_bytes)
    }

    /// Takes the next 32 bits; `None` if fewer are left.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_ne_bytes)
    }

    /// Takes the next 64 bits; `None` if fewer are left.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_ne_bytes)
    }

    /// Returns the bytes that have not been taken.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Takes the next `N` bytes.
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }
}

/// A message under construction, in a buffer that is reused.
///
/// ```
/// use ringbar_vfio_user::wire::{command, Builder, Fields, Header, HEADER_SIZE};
///
/// let mut message = Builder::default();
/// let header = Header { id: 7, command: command::REGION_READ, ..Header::default() };
/// let bytes = message.start().u64(16).u32(0).u32(4).finish(header);
///
/// assert_eq!(Header::parse(bytes), Some(Header { size: 32, ..header }));
/// let mut fields = Fields(&bytes[HEADER_SIZE..]);
/// assert_eq!((fields.u64(), fields.u32(), fields.u32()), (Some(16), Some(0), Some(4)));
/// assert_eq!(fields.u32(), None);
/// ```
#[derive(Debug, Default)]
pub struct Builder(Vec<u8>);

impl Builder {
    /// Starts a message; its header is written by [`finish`](Self::finish).
    pub fn start(&mut self) -> &mut Self {
        self.0.clear();
        self.bytes(&[0; HEADER_SIZE])
    }

    /// Appends 16 bits.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_ne_bytes())
    }

    /// Appends 32 bits.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_ne_bytes())
    }

    /// Appends 64 bits.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_ne_bytes())
    }

    /// Appends bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Appends `length` bytes of 0 and returns them, to be filled.
    pub fn space(&mut self, length: usize) -> &mut [u8] {
        let start = self.0.len();
        // Zeroed, so that the reply never carries bytes of an earlier message.
        self.0.resize(start.saturating_add(length), 0);
        self.0.get_mut(start..).unwrap_or_default()
    }

    /// Writes the header, with the size that the message now has. Returns the message.
    pub fn finish(&mut self, header: Header) -> &[u8] {
        // The longest message is far below 4 GiB.
        let size = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        if let Some(start) = self.0.first_chunk_mut() {
            *start = Header { size, ..header }.to_bytes();
        }
        &self.0
    }
}

/// Returns a 32-bit number as a length.
pub(crate) fn to_usize(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
