// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors of the transport.

use rustix::io::Errno;
use std::io;

/// Reason for which the server cannot be reached.
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

    /// Memory or an eventfd cannot be made, mapped or read.
    #[error("memory: {0}")]
    Memory(#[source] io::Error),
}
