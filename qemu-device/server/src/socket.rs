// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The socket that QEMU connects to.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::Level;
use ringbar_endpoint::client_log::note;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    bind, listen, socket_with, AddressFamily, SocketAddrUnix, SocketFlags, SocketType,
};
use rustix::process::geteuid;

use crate::error::Error;

/// Longest time for which a send to the client may block. A client that reads nothing is dropped
/// then, as the next one waits for its end.
const SEND_TIME: Duration = Duration::from_secs(30);

/// Clients that may wait: the standard library's number.
const BACKLOG: i32 = 128;

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
    pub fn bind(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Listen {
            path: path.to_owned(),
            source,
        };
        // Of the path itself: a symbolic link is no socket, and its target is not touched.
        match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                return Err(Error::NotASocket(path.to_owned()));
            }
            Ok(_) if is_alive(path) => return Err(Error::SocketInUse(path.to_owned())),
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
    pub fn listen(&self) -> Result<(), Error> {
        listen(&self.listener, BACKLOG).map_err(|source| Error::Listen {
            path: self.path().to_owned(),
            source: source.into(),
        })
    }

    /// Waits for the next client of this process's user, or of root.
    pub fn accept(&self) -> Result<UnixStream, Error> {
        loop {
            let (client, _address) = self.listener.accept().map_err(Error::Accept)?;
            let peer = socket_peercred(&client).map_err(|error| Error::Accept(error.into()))?;
            // There is one client at a time. A client of another user would keep QEMU out.
            if peer.uid == geteuid() || peer.uid.is_root() {
                client
                    // Otherwise a client that reads nothing would hold the server for ever.
                    .set_write_timeout(Some(SEND_TIME))
                    .map_err(Error::Accept)?;
                return Ok(client);
            }
            let user = peer.uid.as_raw();
            note(
                module_path!(),
                Level::Warn,
                format_args!("user {user} may not connect"),
            );
        }
    }

    /// Returns the path that it listens on.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Leaves the file to the next server, as a process without file system has to.
    pub fn leave_file(&mut self) {
        self.file.leave = true;
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

        assert!(matches!(result, Err(Error::SocketInUse(_))));
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
        assert!(matches!(second, Err(Error::SocketInUse(_))));
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn file_other_than_a_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        fs::write(&path, "precious").unwrap();

        let result = Socket::bind(&path);

        assert!(matches!(result, Err(Error::NotASocket(_))));
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
    fn client_has_a_limited_time_to_take_what_it_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let socket = Socket::bind(&path).unwrap();
        socket.listen().unwrap();
        let _client = UnixStream::connect(&path).unwrap();

        let accepted = socket.accept().unwrap();

        assert_eq!(accepted.write_timeout().unwrap(), Some(SEND_TIME));
    }

    #[test]
    fn missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no/s");

        let error = Socket::bind(&path).unwrap_err();

        assert!(error.to_string().contains("no/s"), "{error}");
    }
}
