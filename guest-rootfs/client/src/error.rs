// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What can go wrong.

use rustix::io::Errno;
use std::path::PathBuf;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node cannot be opened.
    #[error("cannot open {path}: {errno}; is the driver loaded, and may you open the node?")]
    Open {
        /// Path of the node.
        path: PathBuf,
        /// What the kernel said.
        errno: Errno,
    },
    /// The driver refused a call.
    #[error("{call} failed: {errno}")]
    Refused {
        /// Which call.
        call: &'static str,
        /// What the kernel said; the table in `guest-driver/README.md` tells why.
        errno: Errno,
    },
    /// The submission ring has no free entry.
    #[error("the submission ring is full: {entries} descriptors in flight")]
    Full {
        /// Entries of the ring.
        entries: u32,
    },
    /// The completion ring is empty although completions were announced.
    #[error("the device announced completion {wanted} and has posted {posted} only")]
    Missing {
        /// How many completions were to be there.
        wanted: u32,
        /// How many are.
        posted: u32,
    },
}

impl Error {
    /// What the kernel said, if it was the kernel.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Open { errno, .. } | Self::Refused { errno, .. } => Some(*errno),
            Self::Full { .. } | Self::Missing { .. } => None,
        }
    }
}
