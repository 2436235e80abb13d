// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors of the library.

use ringbar_driver_side::{name, RingError};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::ring::Status;
use rustix::io::Errno;
use std::path::PathBuf;

/// Reason for which a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node cannot be opened.
    #[error("cannot open {path}: {errno}; is the driver loaded, and may you open the node?")]
    Open {
        /// Path of the node.
        path: PathBuf,
        /// Error of the kernel.
        errno: Errno,
    },
    /// The driver refused a call.
    #[error("{call} failed: {errno}")]
    Refused {
        /// Name of the call.
        call: &'static str,
        /// Error of the kernel; the table in `guest-driver/README.md` explains it.
        errno: Errno,
    },
    /// The submission ring has no free entry.
    #[error("the submission ring is full: {entries} descriptors in flight")]
    Full {
        /// Entries of the ring.
        entries: u32,
    },
    /// The timeout passed before the completions came.
    #[error("the completions did not come in time")]
    TimedOut,
    /// The device has stopped the queue. `Queue::reset` starts it again.
    #[error("the queue has stopped: {}", name(*code))]
    QueueStopped {
        /// Error that stopped it; [`ErrorCode::NONE`] if the driver stopped it on request.
        code: ErrorCode,
    },
    /// The device was reset, which destroyed all objects of the file. Open the node again.
    #[error("the device was reset: its generation is {now}, the queue is of generation {queue}")]
    Reset {
        /// Generation that the queue was made in.
        queue: u32,
        /// Generation of the device.
        now: u32,
    },
    /// The server of the device has ended.
    #[error("the device has no server: it reads as {answer:#010x}")]
    ServerGone {
        /// Value that the register returned: all ones as a rule.
        answer: u32,
    },
    /// The device ended a transfer of a kernel queue early.
    #[error("the device copied {moved} bytes, then ended with status {}", status.0)]
    NotMoved {
        /// Status of the completion.
        status: Status,
        /// Bytes moved before that.
        moved: u64,
    },
    /// The device announced more completions than there can be.
    #[error(
        "the device announced {announced} completions, of {submitted} descriptors ever submitted"
    )]
    BadCompletionTail {
        /// The completion tail, modulo 2^32.
        announced: u32,
        /// The submission tail, modulo 2^32.
        submitted: u32,
    },
}

impl Error {
    /// Returns the kernel's error, if the kernel failed the call.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Open { errno, .. } | Self::Refused { errno, .. } => Some(*errno),
            Self::TimedOut => Some(Errno::TIMEDOUT),
            _ => None,
        }
    }
}

impl From<RingError> for Error {
    fn from(error: RingError) -> Self {
        match error {
            RingError::Full { entries } => Self::Full { entries },
            RingError::QueueStopped { code } => Self::QueueStopped { code },
            RingError::Reset { queue, now } => Self::Reset { queue, now },
            RingError::BadCompletionTail {
                announced,
                submitted,
            } => Self::BadCompletionTail {
                announced,
                submitted,
            },
        }
    }
}
