// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors of memory and DMA addresses.

use std::io;

use ringbar_vfio_user::Errno;

/// Reason for which memory cannot be made, or a request of the client is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refuses memory.
    #[error("cannot make {size} bytes of memory for {name}: {source}")]
    Memory {
        /// Name of the memory.
        name: &'static str,
        /// Size in bytes.
        size: usize,
        /// Error of the system.
        source: io::Error,
    },
    /// The file behind memory cannot be shared.
    #[error("cannot share the memory of a BAR: {0}")]
    Share(io::Error),
    /// A range of DMA addresses is empty or passes 2^64.
    #[error("{size:#x} bytes at DMA address {address:#x}: empty, or beyond the end of the address space")]
    DmaRange {
        /// First DMA address.
        address: u64,
        /// Length.
        size: u64,
    },
    /// A range of DMA addresses is mapped already, in part at least.
    #[error("{size:#x} bytes at DMA address {address:#x} overlap the mapping at {other:#x}: unmap it first")]
    DmaOverlap {
        /// First DMA address.
        address: u64,
        /// Length.
        size: u64,
        /// First DMA address of the mapping that is there.
        other: u64,
    },
    /// The file is shorter than the range to map.
    #[error("{size:#x} bytes at {offset:#x} of a memory file leave its {file_size:#x} bytes")]
    DmaFile {
        /// First byte in the file.
        offset: u64,
        /// Length.
        size: u64,
        /// Length of the file.
        file_size: u64,
    },
    /// The file cannot be mapped.
    #[error("cannot map a memory file: {0}")]
    DmaMap(io::Error),
    /// Too many mappings.
    #[error("{0} DMA mappings are the limit: unmap some first")]
    DmaMappings(usize),
}

impl From<&Error> for Errno {
    /// Returns the error number for the client.
    fn from(error: &Error) -> Self {
        match error {
            Error::DmaOverlap { .. } => Self::EXIST,
            Error::DmaMappings(_) => Self::NOSPC,
            Error::DmaMap(error) => Self::from_io_error(error).unwrap_or(Self::IO),
            Error::Memory { .. }
            | Error::Share(_)
            | Error::DmaRange { .. }
            | Error::DmaFile { .. } => Self::INVAL,
        }
    }
}
