// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The broker's own sockets, and the way to that of a server. None of them waits.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;

use ringbar_endpoint::socket::{Socket, SocketError};
use ringbar_vfio_user::Errno;
use rustix::net::{connect, socket_with, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Listens on `path`. The file stays when the broker ends: its sandbox does not let it remove one.
///
/// # Errors
///
/// Fails if another process holds the socket, the path belongs to a file of another kind, or the
/// system refuses.
pub fn listen(path: &Path) -> Result<Socket, SocketError> {
    let failed = |source| SocketError::Listen {
        path: path.to_owned(),
        source,
    };
    let mut socket = Socket::bind(path)?;
    socket.leave_file();
    socket.set_nonblocking().map_err(failed)?;
    socket.listen()?;
    Ok(socket)
}

/// Accepts a connection of this process's user, or of root; `None` if there is none now.
///
/// # Errors
///
/// Fails if the system refuses.
pub fn accept(socket: &Socket) -> io::Result<Option<UnixStream>> {
    match socket.accept() {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
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
