// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors of memory, threads and DMA addresses.

use std::io;
use std::path::PathBuf;

use ringbar_vfio_user::device::DmaRange;
use ringbar_vfio_user::ranges::RangeFault;
use ringbar_vfio_user::{Errno, Refusal};

use crate::region_files::Unfit;
use crate::shape_fault::ShapeFault;

/// Reason for which a device cannot be made or started, or a request of the client is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
    /// A file that is kept cannot be the memory of a region.
    #[error("the file that is kept for {name} of {size} bytes does not fit: {fault}")]
    RegionFile {
        /// Name of the memory.
        name: &'static str,
        /// Size that the memory must have.
        size: usize,
        /// Reason.
        fault: Unfit,
    },
    /// A broker hands out no files.
    #[error("region files from {}: {source}", path.display())]
    Broker {
        /// Path of the broker's socket.
        path: PathBuf,
        /// Error of the system, or of the data.
        source: io::Error,
    },
    /// The file behind memory cannot be shared.
    #[error("cannot share the memory of a BAR: {0}")]
    Share(io::Error),
    /// The shape breaks a rule of PCI.
    #[error(transparent)]
    Shape(#[from] ShapeFault),
    /// The system refuses a thread.
    #[error("cannot start the thread of the device: {0}")]
    Thread(io::Error),
    /// The list of DMA ranges does not allow it.
    #[error(transparent)]
    DmaRange(#[from] RangeFault),
    /// The file is shorter than the range to map.
    #[error(
        "DMA addresses {range}, at {offset:#x} of a memory file, leave its {file_size:#x} bytes"
    )]
    DmaFile {
        /// Range to map.
        range: DmaRange,
        /// First byte in the file.
        offset: u64,
        /// Length of the file.
        file_size: u64,
    },
    /// The file cannot be mapped.
    #[error("cannot map a memory file: {0}")]
    DmaMap(io::Error),
}

impl From<Error> for Refusal {
    /// Returns the refusal for the client. Without a rule of the protocol its text has the error
    /// number only, so the log has the error itself.
    fn from(error: Error) -> Self {
        log::debug!("refused: {error}");
        match error {
            Error::DmaRange(fault) => fault.into(),
            Error::DmaMap(error) => Errno::from_io_error(&error).unwrap_or(Errno::IO).into(),
            Error::Memory { .. }
            | Error::RegionFile { .. }
            | Error::Broker { .. }
            | Error::Share(_)
            | Error::Shape(_)
            | Error::Thread(_)
            | Error::DmaFile { .. } => Errno::INVAL.into(),
        }
    }
}
