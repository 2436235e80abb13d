// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What can go wrong.

use ringbar_spec::error::ErrorCode;
use ringbar_spec::ring::Status;
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
    /// The time is over.
    #[error("the completions did not come in time")]
    TimedOut,
    /// The device has stopped the queue. `Queue::reset` starts it again.
    #[error("the queue has stopped: {}", name(*code))]
    QueueStopped {
        /// Why; [`ErrorCode::NONE`] if it was told to.
        code: ErrorCode,
    },
    /// The device was reset: what the file owned of it is gone. Open it anew.
    #[error("the device was reset: its generation is {now}, the queue is of generation {queue}")]
    Reset {
        /// Generation that the queue was made in.
        queue: u32,
        /// Generation of the device.
        now: u32,
    },
    /// Nobody serves the device any more.
    #[error("nobody serves the device: it answers {answer:#010x}")]
    ServerGone {
        /// What a register answers that has another value, all ones as a rule.
        answer: u32,
    },
    /// The device did not copy what a queue of the kernel was to move.
    #[error("the device copied {moved} bytes, then ended with status {}", status.0)]
    NotMoved {
        /// Why.
        status: Status,
        /// Bytes that were moved before.
        moved: u64,
    },
    /// The device announced completions that cannot be.
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
    /// What the kernel said, if it was the kernel.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Open { errno, .. } | Self::Refused { errno, .. } => Some(*errno),
            Self::TimedOut => Some(Errno::TIMEDOUT),
            _ => None,
        }
    }
}

/// The name that the data sheet has for a code.
fn name(code: ErrorCode) -> String {
    let known = ErrorCode::ALL.iter().find(|(known, _)| *known == code);
    known.map_or_else(
        || format!("code {}", code.0),
        |(_, name)| (*name).to_owned(),
    )
}
