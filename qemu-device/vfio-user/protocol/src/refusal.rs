// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Reasons for which a command is not carried out, and their error numbers for the client.

use rustix::io::Errno;

use crate::ranges::RangeFault;
use crate::wire::command;

/// Reason for which a command was not carried out. Each text names the value and the limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The header has flags that have no meaning in a command.
    #[error("flags {0:#x} have no meaning in a command")]
    Flags(u32),
    /// The message is longer than any command.
    #[error("{size} bytes, the limit is {limit}")]
    TooLong {
        /// Size in the header.
        size: u32,
        /// Longest message.
        limit: usize,
    },
    /// The message has more file descriptors than the command takes. They have been closed.
    #[error("{count} file descriptors or more, the limit is {limit}")]
    Fds {
        /// Number that came, up to one more than any message may have.
        count: usize,
        /// Number that is allowed.
        limit: usize,
    },
    /// Another command came before the version was negotiated.
    #[error("{} before VERSION", command::Name(*.0))]
    NotNegotiated(u16),
    /// The version has been negotiated.
    #[error("second VERSION")]
    Negotiated,
    /// The version message cannot be agreed to.
    #[error(transparent)]
    Version(#[from] VersionFault),
    /// The command is unknown, or not offered.
    #[error("{} is not supported", command::Name(*.0))]
    Unsupported(u16),
    /// The device has no features of VFIO.
    #[error("device feature {0} is not supported")]
    Feature(u32),
    /// The payload does not have the command's size.
    #[error("{size} bytes of payload, not {needed}")]
    Payload {
        /// Size of the payload.
        size: usize,
        /// Its right, or its least size.
        needed: usize,
    },
    /// `argsz` leaves no room for the fixed part of the reply or request.
    #[error("argsz {argsz}, the least is {least}")]
    ArgSize {
        /// Value of the field.
        argsz: u32,
        /// Its least value.
        least: usize,
    },
    /// Flags of `DMA_MAP` or `DMA_UNMAP` without meaning, or none where one is needed.
    #[error("DMA flags {0:#x} have no meaning")]
    DmaFlags(u32),
    /// The client's file can only be read and written. The server maps files only.
    #[error("DMA through file input and output is not supported")]
    DmaFileIo,
    /// The range has no whole pages, is empty, or passes the end of the address space.
    #[error("{size:#x} bytes at DMA address {address:#x}: empty, no whole pages, or beyond 2^64")]
    DmaRange {
        /// First DMA address.
        address: u64,
        /// Length.
        size: u64,
    },
    /// The offset in the file is no multiple of a page, or the range passes 2^63.
    #[error("{size:#x} bytes at {offset:#x} of a file: no page, or beyond 2^63")]
    DmaFile {
        /// Offset in the file.
        offset: u64,
        /// Length.
        size: u64,
    },
    /// The list of mappings does not allow it.
    #[error(transparent)]
    DmaMappings(#[from] RangeFault),
    /// Unmapping everything takes address 0 and size 0.
    #[error("unmapping everything takes address and size 0, not {address:#x} and {size:#x}")]
    DmaAll {
        /// First DMA address.
        address: u64,
        /// Length.
        size: u64,
    },
    /// The device has no such region.
    #[error("there is no region {index}; the device has {count}")]
    Region {
        /// Index in the request.
        index: u32,
        /// Number of regions.
        count: usize,
    },
    /// The device has no such type of interrupt.
    #[error("interrupt type {index} has no interrupts, or is not one of {count}")]
    InterruptType {
        /// Index in the request.
        index: u32,
        /// Number of types.
        count: usize,
    },
    /// Flags of `DEVICE_SET_IRQS` that are not one action and one kind of data.
    #[error("interrupt flags {0:#x} are not one action and one kind of data")]
    InterruptFlags(u32),
    /// The action or kind of data is not for this type of interrupt.
    #[error("interrupt flags {flags:#x} are not for interrupt type {index}")]
    InterruptAction {
        /// Flags of the request.
        flags: u32,
        /// Index in the request.
        index: u32,
    },
    /// The type does not have these interrupts, or the request names none.
    #[error("{count} interrupts from {start} on: the type has {limit}")]
    InterruptRange {
        /// First interrupt.
        start: u32,
        /// Number of interrupts.
        count: u32,
        /// Number of interrupts that the type has.
        limit: u32,
    },
    /// The number of eventfds is neither 0 nor that of the interrupts.
    #[error("{fds} file descriptors for {count} interrupts")]
    InterruptFds {
        /// Number of eventfds.
        fds: usize,
        /// Number of interrupts.
        count: u32,
    },
    /// The request has more bytes than one message transfers.
    #[error("transfer of {count} bytes, the limit is {limit}")]
    Transfer {
        /// Bytes asked for.
        count: u32,
        /// Most bytes.
        limit: usize,
    },
    /// An access leaves its region.
    #[error("{count} bytes at {offset:#x} leave region {region} of {size:#x} bytes")]
    OutsideRegion {
        /// Index of the region.
        region: u32,
        /// First byte.
        offset: u64,
        /// Length of the access.
        count: u32,
        /// Size of the region.
        size: u64,
    },
    /// The region may not be read, or may not be written.
    #[error("region {0} does not allow this access")]
    Permission(u32),
    /// The device itself refuses.
    #[error("the device refuses: {0}")]
    Device(#[from] Errno),
}

/// Reason for which a version message cannot be agreed to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionFault {
    /// The major version is that of another protocol.
    #[error("major version {0}, not 0")]
    Major(u16),
    /// The text is too long.
    #[error("version text of {0} bytes, the limit is {1}")]
    TooLong(usize, usize),
    /// The text does not end with its only NUL.
    #[error("version text without a NUL at its end, or with another one")]
    NotTerminated,
    /// The text is not the JSON that it should be. Holds the parser's error, up to 200 bytes of it.
    #[error("version text: {0}")]
    Text(String),
    /// A number is out of range.
    #[error("{0} is {1}")]
    Value(&'static str, u64),
}

impl Refusal {
    /// Returns the error number for the client.
    pub fn errno(&self) -> Errno {
        match self {
            Self::TooLong { .. } => Errno::MSGSIZE,
            Self::Unsupported(_) | Self::DmaFileIo => Errno::NOTSUP,
            // The kernel returns the same for a feature that a device does not have.
            Self::Feature(_) => Errno::NOTTY,
            Self::DmaMappings(fault) => fault.errno(),
            Self::Permission(_) => Errno::PERM,
            Self::Device(errno) => *errno,
            _ => Errno::INVAL,
        }
    }
}
