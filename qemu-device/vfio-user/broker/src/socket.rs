// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Sockets with paths: the broker's own, and that of a server.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use log::Level;
use ringbar_endpoint::client_log::note;
use ringbar_vfio_user::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{connect, socket_with, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::geteuid;

/// Reason for which a socket cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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

/// Listens on `path`, for this process's user only. Replaces a socket that a dead process left
/// there. Accepting does not wait.
///
/// # Errors
///
/// Fails if another process holds the socket, the path belongs to a file of another kind, or the
/// system refuses.
pub fn listen(path: &Path) -> Result<UnixListener, Error> {
    let failed = |source| Error::Listen {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(Error::NotASocket(path.to_owned()));
        }
        Ok(_) if is_alive(path) => return Err(Error::InUse(path.to_owned())),
        Ok(_) => fs::remove_file(path).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Accepts a connection of this process's user, or of root; `None` if there is none now.
///
/// # Errors
///
/// Fails if the system refuses.
pub fn accept(listener: &UnixListener) -> io::Result<Option<UnixStream>> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _address)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        let peer = socket_peercred(&stream)?.uid;
        if peer == geteuid() || peer.is_root() {
            return Ok(Some(stream));
        }
        let user = peer.as_raw();
        note(
            module_path!(),
            Level::Warn,
            format_args!("user {user} may not connect"),
        );
    }
}

/// Connects to a server, without waiting for it.
///
/// # Errors
///
/// Fails if no process listens there now, or too many connections wait for it.
pub fn connect_to(path: &Path) -> Result<UnixStream, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
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
