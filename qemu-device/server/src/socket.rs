// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The socket that QEMU connects to.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// A listening socket. Dropping it removes the file.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    file: SocketFile,
}

/// The file of a socket, removed when it is dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Socket {
    /// Listens on `path`. A socket that a dead process left there is replaced.
    pub fn bind(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Listen {
            path: path.to_owned(),
            source,
        };
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
        Ok(Self {
            listener: UnixListener::bind(path).map_err(failed)?,
            file: SocketFile(path.to_owned()),
        })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.file.0
    }

    /// The listener, and the guard that removes the file.
    pub fn into_parts(self) -> (UnixListener, SocketFile) {
        (self.listener, self.file)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody else may have removed it already, which is as good.
        let _gone = fs::remove_file(&self.0);
    }
}

/// Whether a process holds the socket.
///
/// A connection would be taken for the client, so a datagram socket asks: the kernel refuses it
/// by "wrong type" if the socket has an owner and by "connection refused" if not.
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
    fn file_that_is_no_socket_is_left_alone() {
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
    fn missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no/s");

        let error = Socket::bind(&path).unwrap_err();

        assert!(error.to_string().contains("no/s"), "{error}");
    }
}
