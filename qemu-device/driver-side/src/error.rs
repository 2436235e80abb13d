// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors of the driver side.

use ringbar_spec::error::ErrorCode;
use std::time::Duration;

/// Reason for which a device cannot be driven.
#[derive(Debug, thiserror::Error)]
pub enum Error<E> {
    /// The transport failed.
    #[error("{0}")]
    Transport(E),

    /// The device is not one that this driver side supports.
    #[error("the device has {property} {found:#x}, not {wanted:#x}")]
    WrongDevice {
        /// Property that differs.
        property: &'static str,
        /// Value of the device.
        found: u64,
        /// Value that the driver side expects.
        wanted: u64,
    },

    /// The device refused an admin command.
    #[error("{command} was refused: {}", name(*code))]
    Refused {
        /// Register of the command.
        command: &'static str,
        /// Value of `ADMIN_STATUS`.
        code: ErrorCode,
    },

    /// The rings cannot be used.
    #[error("{0}")]
    Ring(RingError),

    /// The memory of the driver or of the device is used up.
    #[error("{size} bytes more do not fit into {limit} bytes of memory")]
    NoMemory {
        /// Bytes asked for.
        size: usize,
        /// Bytes of the memory.
        limit: usize,
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

impl<E> From<E> for Error<E> {
    fn from(error: E) -> Self {
        Self::Transport(error)
    }
}

/// Reason for which a ring takes no descriptor, or has no completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// The submission ring has no free entry.
    #[error("the submission ring is full: {entries} descriptors in flight")]
    Full {
        /// Entries of the ring.
        entries: u32,
    },
    /// The device has stopped the queue.
    #[error("the queue has stopped: {}", name(*code))]
    QueueStopped {
        /// Error that stopped it; [`ErrorCode::NONE`] if the driver stopped it on request.
        code: ErrorCode,
    },
    /// The device was reset.
    #[error("the device was reset: its generation is {now}, the queue is of generation {queue}")]
    Reset {
        /// Generation that the queue was started in.
        queue: u32,
        /// Generation of the device.
        now: u32,
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

/// Returns the data sheet's name of a code.
pub fn name(code: ErrorCode) -> String {
    let known = ErrorCode::ALL.iter().find(|(known, _)| *known == code);
    known.map_or_else(
        || format!("code {}", code.0),
        |(_, name)| (*name).to_owned(),
    )
}
