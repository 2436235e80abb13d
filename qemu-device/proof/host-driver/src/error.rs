// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors of the transport.

use std::io;

/// Reason for which the server cannot be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server does not follow the protocol, or refuses a request.
    #[error(transparent)]
    Client(#[from] ringbar_checked_client::Error),

    /// A region that must be mapped has no file.
    #[error("region {0} comes without a file to map")]
    NoFile(u32),

    /// Memory or an eventfd cannot be made, mapped or read.
    #[error("memory: {0}")]
    Memory(#[source] io::Error),
}
