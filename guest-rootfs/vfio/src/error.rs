// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors of the driver.

use ringbar_spec::error::ErrorCode;
use rustix::io::Errno;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use vfio_ioctls::VfioError;

/// Reason for which the device cannot be driven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel does not hand the device over.
    #[error("{path}: {source}")]
    Handover {
        /// File in sysfs.
        path: PathBuf,
        /// Error of the file.
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
        /// Name of the call.
        call: &'static str,
        /// Error of the kernel.
        errno: Errno,
    },

    /// Memory cannot be mapped.
    #[error("{0}")]
    Memory(#[from] ringbar_client::Error),

    /// The memory of the driver is used up.
    #[error("{0} bytes more do not fit into the memory of the driver")]
    Full(usize),

    /// The device is not one that this driver supports.
    #[error("the device has {what} {found:#x}, not {wanted:#x}")]
    WrongDevice {
        /// Property that differs.
        what: &'static str,
        /// Value of the device.
        found: u64,
        /// Value that the driver expects.
        wanted: u64,
    },

    /// The device refused an admin command.
    #[error("{command} was refused: error {}", .code.0)]
    RefusedByDevice {
        /// Register of the command.
        command: &'static str,
        /// Error that the device reported.
        code: ErrorCode,
    },

    /// Completions or their interrupt did not come in time.
    #[error("no interrupt for {wanted} completions within {limit:?}; {there} are there")]
    Late {
        /// Completions that came.
        there: u32,
        /// Completions that were awaited.
        wanted: u32,
        /// Time limit.
        limit: Duration,
    },
}
