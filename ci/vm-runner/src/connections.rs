// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Sockets of a process that is killed. The runner holds them open until the process has ended, then
//! reads all their messages and closes them, or answers on that to QEMU in the process's place
//! ([`stand_in`](crate::stand_in)).
//!
//! A UNIX socket that closes with unread data reports a reset to its peer, not an end. QEMU 11.1
//! aborts on a reset from a device's server: it sets the error twice (`error_setv: Assertion`).
//! Without this precaution chance decides. The kernel frees the memory of a killed process first
//! and closes its files last.

use std::fs;
use std::io::{self, Read as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::process::{pidfd_getfd, pidfd_open, Pid, PidfdFlags, PidfdGetfdFlags};

/// Sockets of a process. Dropping them reads the rest and closes them. The process must have ended
/// by then.
#[derive(Debug)]
pub(crate) struct Connections(Vec<UnixStream>);

impl Connections {
    /// Duplicates the sockets that a child has now.
    pub(crate) fn of(pid: Pid) -> io::Result<Self> {
        sockets(pid).map(Self)
    }
}

/// Duplicates the connection that a child accepted on the socket at `path`, if it has one.
pub(crate) fn accepted(pid: Pid, path: &Path) -> io::Result<Option<UnixStream>> {
    let is_it = |socket: &UnixStream| {
        let address = socket.local_addr();
        let is_there = address.is_ok_and(|address| address.as_pathname() == Some(path));
        // The socket that listens has no peer.
        is_there && socket.peer_addr().is_ok()
    };
    Ok(sockets(pid)?.into_iter().find(is_it))
}

/// Duplicates all sockets of a child.
fn sockets(pid: Pid) -> io::Result<Vec<UnixStream>> {
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let mut sockets = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        let target = fs::read_link(&path).unwrap_or_default();
        let is_socket = target.to_string_lossy().starts_with("socket:");
        if let Some(number) = number.filter(|_| is_socket) {
            let socket = pidfd_getfd(&process, number, PidfdGetfdFlags::empty())?;
            sockets.push(UnixStream::from(socket));
        }
    }
    Ok(sockets)
}

impl Drop for Connections {
    fn drop(&mut self) {
        for socket in &mut self.0 {
            // After the shutdown no more data can come in. An error means that the socket was not
            // connected.
            let _ = socket.shutdown(Shutdown::Read);
            while matches!(socket.read(&mut [0; 4096]), Ok(1..)) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixListener;
    use std::process::{Child, Command, Stdio};

    /// Starts a process that holds one end of a connection and reads nothing from it.
    fn reader() -> (Child, Pid, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let child = Command::new("sleep")
            .arg("1000")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .expect("it starts");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a number")).expect("not 0");
        (child, pid, ours)
    }

    fn kill(child: &mut Child) {
        child.kill().expect("killed");
        child.wait().expect("ended");
    }

    /// Shows why the precaution exists: without it the peer sees a reset.
    #[test]
    fn unread_message_of_a_killed_process_is_a_reset_for_its_peer() {
        let (mut child, _, mut peer) = reader();

        peer.write_all(b"unread").expect("sent");
        kill(&mut child);

        let error = peer.read(&mut [0]).expect_err("reset");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn connection_is_found_by_the_path_on_which_it_was_accepted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).expect("it listens");
        let mut peer = UnixStream::connect(&path).expect("connected");
        let (accepted_one, _) = listener.accept().expect("accepted");
        // Three sockets: one that listens, one that is accepted, one of another kind.
        let mut child = Command::new("sleep")
            .arg("1000")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::from(OwnedFd::from(accepted_one)))
            .stderr(Stdio::from(OwnedFd::from(
                peer.try_clone().expect("copied"),
            )))
            .spawn()
            .expect("it starts");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a number")).expect("not 0");

        let found = accepted(pid, &path);
        let missing = accepted(pid, Path::new("/elsewhere")).expect("searched");
        kill(&mut child);

        let mut found = found.expect("searched").expect("found");
        found.write_all(b"here").expect("sent");
        let mut text = [0; 4];
        peer.read_exact(&mut text).expect("received");
        assert_eq!(&text, b"here");
        assert!(missing.is_none());
    }

    #[test]
    fn held_connection_ends_in_order_despite_an_unread_message() {
        let (mut child, pid, mut peer) = reader();

        let held = Connections::of(pid).expect("held");
        peer.write_all(b"unread").expect("sent");
        kill(&mut child);
        peer.write_all(b"too late").expect("sent");
        drop(held);

        assert_eq!(peer.read(&mut [0]).expect("the end"), 0);
    }
}
