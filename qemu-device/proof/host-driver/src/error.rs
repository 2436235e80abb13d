// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors of the host driver.

use ringbar_spec::error::ErrorCode;
use rustix::io::Errno;
use std::io;
use std::time::Duration;

/// Reason for which the device cannot be driven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server does not follow the protocol.
    #[error("vfio-user: {0}")]
    Protocol(#[from] vfio_user::Error),

    /// The client cannot be connected to the server.
    #[error("relay: {0}")]
    Relay(#[source] io::Error),

    /// The server refused a command.
    #[error("the server refuses: {0}")]
    RefusedByServer(Errno),

    /// A region that must be mapped has no file.
    #[error("region {0} comes without a file to map")]
    NoFile(u32),

    /// Memory cannot be made or mapped.
    #[error("memory: {0}")]
    Memory(#[source] io::Error),

    /// The guest's memory is used up.
    #[error("{0} bytes more do not fit into the memory of the client")]
    Full(usize),

    /// The device refused an admin command.
    #[error("{command} was refused: error {}", .code.0)]
    Refused {
        /// Name of the command register.
        command: &'static str,
        /// Value of `ADMIN_STATUS`.
        code: ErrorCode,
    },

    /// Not all completions came, or no interrupt did.
    #[error("no interrupt for {wanted} completions within {limit:?}; {there} are there")]
    Late {
        /// Number of completions that are there.
        there: u32,
        /// Number of descriptors submitted.
        wanted: u32,
        /// Time for which it waited.
        limit: Duration,
    },
}
