// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The socket of a server: a path that one process at a time holds, for clients of its own user.
//!
//! ```
//! use ringbar_endpoint::socket::Socket;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("device.sock");
//! let socket = Socket::bind(&path)?; // replaces the socket of a process that has died
//! socket.listen()?; // from now on clients can connect
//! # let _client = std::os::unix::net::UnixStream::connect(&path)?;
//! let client = socket.accept()?;
//! # drop(client);
//! # Ok(())
//! # }
//! ```

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use log::Level;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    bind, listen, socket_with, AddressFamily, SocketAddrUnix, SocketFlags, SocketType,
};
use rustix::process::geteuid;

use crate::client_log::note;

/// Clients that may wait: the standard library's number.
const BACKLOG: i32 = 128;

/// Reason for which a socket cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// Another process holds the socket.
    #[error("{} is in use: stop the process that listens there or choose another path", .0.display())]
    InUse(PathBuf),
    /// The path belongs to a file of another kind.
    #[error("{} exists and is not a socket: remove it or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// The socket cannot be made.
    #[error("cannot listen on {}: {source}; is the folder there and writable, and the path at most 107 bytes?", path.display())]
    Listen {
        /// Path of the socket.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
}

/// A socket for clients. Dropping it removes the file, unless [`leave_file`](Self::leave_file) was
/// called.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    file: SocketFile,
}

/// The file of a socket.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    leave: bool,
}

impl Socket {
    /// Takes `path`. Replaces a socket that a dead process left there. Nothing can connect before
    /// [`listen`](Self::listen).
    ///
    /// # Errors
    ///
    /// Fails if another process holds the socket, the path belongs to a file of another kind, or
    /// the system refuses.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Listen {
            path: path.to_owned(),
            source,
        };
        // Of the path itself: a symbolic link is no socket, and its target is not touched.
        match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                return Err(SocketError::NotASocket(path.to_owned()));
            }
            Ok(_) if is_alive(path) => return Err(SocketError::InUse(path.to_owned())),
            Ok(_) => {
                log::info!("removing the socket {} of a dead process", path.display());
                fs::remove_file(path).map_err(failed)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let socket = Self {
            listener: bound(path).map_err(failed)?,
            file: SocketFile {
                path: path.to_owned(),
                leave: false,
            },
        };
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(socket)
    }

    /// Lets clients connect.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses.
    pub fn listen(&self) -> Result<(), SocketError> {
        listen(&self.listener, BACKLOG).map_err(|source| SocketError::Listen {
            path: self.path().to_owned(),
            source: source.into(),
        })
    }

    /// Returns the next client of this process's user, or of root. Waits for it, unless
    /// [`set_nonblocking`](Self::set_nonblocking) was called.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses, and with [`WouldBlock`](io::ErrorKind::WouldBlock) instead of
    /// waiting.
    pub fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (client, _address) = self.listener.accept()?;
            let peer = socket_peercred(&client)?.uid;
            // There is one client at a time. A client of another user would keep that one out.
            if peer == geteuid() || peer.is_root() {
                return Ok(client);
            }
            let user = peer.as_raw();
            note(
                module_path!(),
                Level::Warn,
                format_args!("user {user} may not connect"),
            );
        }
    }

    /// Has [`accept`](Self::accept) fail instead of waiting.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        self.listener.set_nonblocking(true)
    }

    /// Returns the path that it listens on.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Leaves the file to the next server, as a process without a file system has to.
    pub fn leave_file(&mut self) {
        self.file.leave = true;
    }
}

/// For a poll.
impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.leave {
            // Another process may have removed it already, which is as good.
            let _gone = fs::remove_file(&self.path);
        }
    }
}

/// Returns a socket that has the path, but does not listen. The standard library does both at once.
fn bound(path: &Path) -> io::Result<UnixListener> {
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

/// Checks whether a process holds the socket.
///
/// A connection would be taken for the client, so a datagram socket asks. The kernel refuses it
/// with "wrong type" if the socket has an owner, and with "connection refused" if not.
fn is_alive(path: &Path) -> bool {
    UnixDatagram::unbound()
        .and_then(|probe| probe.connect(path))
        .err()
        .is_none_or(|error| error.kind() != io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_of_a_dead_process_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).unwrap());

        let socket = Socket::bind(&path);

        assert!(socket.is_ok());
    }

    #[test]
    fn socket_in_use_is_refused_and_not_disturbed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();

        let result = Socket::bind(&path);

        assert!(matches!(result, Err(SocketError::InUse(_))));
        assert_eq!(
            listener.accept().unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
    }

    #[test]
    fn path_is_taken_before_anything_can_connect() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let socket = Socket::bind(&path).unwrap();

        let early = UnixStream::connect(&path).unwrap_err().kind();
        let second = Socket::bind(&path);
        socket.listen().unwrap();

        assert_eq!(early, io::ErrorKind::ConnectionRefused);
        assert!(matches!(second, Err(SocketError::InUse(_))));
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn socket_blocks_until_it_is_asked_not_to() {
        let folder = tempfile::tempdir().unwrap();
        let socket = Socket::bind(&folder.path().join("s")).unwrap();
        let blocks = |socket: &Socket| {
            let flags = rustix::fs::fcntl_getfl(socket).unwrap();
            !flags.contains(rustix::fs::OFlags::NONBLOCK)
        };
        let before = blocks(&socket);
        socket.set_nonblocking().unwrap();

        assert_eq!([before, blocks(&socket)], [true, false]);
    }

    #[test]
    fn file_stays_only_if_it_is_left_to_the_next_server() {
        for left in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("s");
            let mut socket = Socket::bind(&path).unwrap();
            if left {
                socket.leave_file();
            }
            drop(socket);

            assert_eq!(path.exists(), left);
        }
    }

    #[test]
    fn file_other_than_a_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        fs::write(&path, "precious").unwrap();

        let result = Socket::bind(&path);

        assert!(matches!(result, Err(SocketError::NotASocket(_))));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn dropped_socket_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");

        drop(Socket::bind(&path).unwrap());

        assert!(!path.exists());
    }

    #[test]
    fn socket_is_for_its_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");

        let _socket = Socket::bind(&path).unwrap();

        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn client_of_the_same_user_is_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let socket = Socket::bind(&path).unwrap();
        socket.listen().unwrap();
        let _client = UnixStream::connect(&path).unwrap();

        assert!(socket.accept().is_ok());
    }

    #[test]
    fn missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no/s");

        let error = Socket::bind(&path).unwrap_err();

        assert!(error.to_string().contains("no/s"), "{error}");
    }
}
