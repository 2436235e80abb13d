// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A line to QEMU in both directions: two named pipes, as for its `pipe` character device.
//!
//! Pipes, not a socket: they need no connection, their paths have no short limit, and both ends
//! exist before QEMU starts.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{mkfifoat, open, Mode, OFlags, CWD};

use crate::error::Error;
use crate::lines::Lines;

/// Most bytes per read.
const PIECE: usize = 4096;

/// The runner's end of a line.
#[derive(Debug)]
pub(crate) struct Port {
    to: File,
    to_path: PathBuf,
    from: File,
    from_path: PathBuf,
    lines: Lines,
}

impl Port {
    /// Creates the pipes `path.in` and `path.out`. QEMU reads from the first one.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let (to_path, from_path) = (with_ending(path, "in"), with_ending(path, "out"));
        Ok(Self {
            to: make(&to_path)?,
            from: make(&from_path)?,
            to_path,
            from_path,
            lines: Lines::default(),
        })
    }

    /// Returns the lines that came since the last call.
    pub(crate) fn read(&mut self) -> Result<Vec<String>, Error> {
        let mut all = Vec::new();
        loop {
            let mut bytes = [0; PIECE];
            match self.from.read(&mut bytes) {
                Ok(count) => {
                    let (read, _) = bytes.split_at(count.min(PIECE));
                    all.extend(self.lines.push(read));
                    if count == 0 {
                        return Ok(all);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(all),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(failed("read", &self.from_path, source)),
            }
        }
    }

    /// Sends a line. A pipe has room for many. An error means that the peer has not read for a long
    /// time.
    pub(crate) fn send(&mut self, line: &str) -> Result<(), Error> {
        let sent = self.to.write_all(format!("{line}\n").as_bytes());
        sent.map_err(|source| failed("written", &self.to_path, source))
    }
}

/// Returns the path of one of both pipes.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".");
    path.push(ending);
    path.into()
}

/// Creates a pipe. It is opened for both directions, so it neither waits for a peer nor ends with
/// one.
fn make(path: &Path) -> Result<File, Error> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR)
        .and_then(|()| open(path, flags, Mode::empty()))
        .map(File::from)
        .map_err(|errno| failed("made", path, errno.into()))
}

/// Returns the error of a pipe.
fn failed(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::File {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port() -> (tempfile::TempDir, PathBuf, Port) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("port");
        let port = Port::create(&path).expect("pipes");
        (folder, path, port)
    }

    #[test]
    fn empty_read_is_not_a_line() {
        let (_folder, _path, mut port) = port();

        assert!(port.read().expect("read").is_empty());
    }

    #[test]
    fn line_in_two_pieces_is_joined() {
        let (_folder, path, mut port) = port();
        let mut peer = File::options()
            .write(true)
            .open(with_ending(&path, "out"))
            .expect("the pipe");

        peer.write_all(b"device_").expect("written");
        let first = port.read().expect("read");
        peer.write_all(b"del\r\n").expect("written");
        let second = port.read().expect("read");

        assert!(first.is_empty());
        assert_eq!(second, ["device_del"]);
    }

    #[test]
    fn line_sent_before_the_peer_came_is_kept() {
        let (_folder, path, mut port) = port();

        port.send("ok").expect("sent");

        let mut peer = File::open(with_ending(&path, "in")).expect("the pipe");
        let mut bytes = [0; 3];
        peer.read_exact(&mut bytes).expect("read");
        assert_eq!(&bytes, b"ok\n");
    }

    #[test]
    fn peer_that_does_not_read_is_an_error_without_a_wait() {
        let (_folder, _path, mut port) = port();
        let line = "x".repeat(4096);

        let error = (0..1000).find_map(|_| port.send(&line).err());

        let text = error.expect("the pipe is full").to_string();
        assert!(text.contains("port.in cannot be written"), "{text}");
    }
}
