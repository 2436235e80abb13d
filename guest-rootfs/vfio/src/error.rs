// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors of the transport.

use rustix::io::Errno;
use std::io;
use std::path::PathBuf;
use vfio_ioctls::VfioError;

/// Reason for which the device cannot be reached.
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
}
