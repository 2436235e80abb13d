// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors of the server.

use std::io;
use std::path::PathBuf;

use ringbar_vfio_user::Errno;

/// Reason for which the server does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket cannot be made.
    #[error(transparent)]
    Socket(#[from] ringbar_endpoint::socket::SocketError),
    /// The device does not exist in this shape.
    #[error("device: {0}")]
    Device(#[from] ringbar_model::ConfigError),
    /// The system refuses a thread or a signal handler.
    #[error("cannot start {name}: {source}")]
    Start {
        /// Name of the part that was to start.
        name: &'static str,
        /// Error of the system.
        source: io::Error,
    },
    /// The file for events cannot be made.
    #[error("cannot write events to {}: {source}", path.display())]
    Events {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// A part of the sandbox does not work.
    #[error("sandbox: {part}: {source}; --sandbox can leave parts out")]
    Sandbox {
        /// Name of the part.
        part: &'static str,
        /// Its error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No client can connect any more.
    #[error("cannot accept a client: {0}")]
    Accept(io::Error),
    /// The device cannot be made or started.
    #[error(transparent)]
    Endpoint(#[from] ringbar_endpoint::Error),
    /// The client was dropped.
    #[error("connection lost: {0}")]
    Lost(#[from] ringbar_endpoint::Lost),
}

impl Error {
    /// Checks whether the system lacks files or memory to accept a client, which may pass.
    pub(crate) fn is_shortage(&self) -> bool {
        let Self::Accept(error) = self else {
            return false;
        };
        matches!(
            Errno::from_io_error(error),
            Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS)
        )
    }
}
