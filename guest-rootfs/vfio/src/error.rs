// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What can go wrong.

use ringbar_spec::error::ErrorCode;
use rustix::io::Errno;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use vfio_ioctls::VfioError;

/// Why the device cannot be driven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel does not hand the device over.
    #[error("{path}: {source}")]
    Handover {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// Another driver than the one asked for has the device.
    #[error("the device has the driver {0:?}")]
    WrongDriver(Option<String>),

    /// VFIO refused.
    #[error("vfio: {0}")]
    Vfio(#[from] VfioError),

    /// A system call failed.
    #[error("{call}: {errno}")]
    Refused {
        /// Which.
        call: &'static str,
        /// Why.
        errno: Errno,
    },

    /// Memory cannot be mapped.
    #[error("{0}")]
    Memory(#[from] ringbar_client::Error),

    /// The memory of the driver is used up.
    #[error("{0} bytes more do not fit into the memory of the driver")]
    Full(usize),

    /// It is another device than the driver is for.
    #[error("the device has {what} {found:#x}, not {wanted:#x}")]
    WrongDevice {
        /// What differs.
        what: &'static str,
        /// What it has.
        found: u64,
        /// What it should have.
        wanted: u64,
    },

    /// The device refused an admin command.
    #[error("{command} was refused: error {}", .code.0)]
    RefusedByDevice {
        /// The register.
        command: &'static str,
        /// What it says.
        code: ErrorCode,
    },

    /// Not all came, or no interrupt did.
    #[error("no interrupt for {wanted} completions within {limit:?}; {there} are there")]
    Late {
        /// How many are there.
        there: u32,
        /// How many were submitted.
        wanted: u32,
        /// How long they were waited for.
        limit: Duration,
    },
}
