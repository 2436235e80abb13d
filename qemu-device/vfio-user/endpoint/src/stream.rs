// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Bytes and file descriptors over a socket.

use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use parking_lot::Mutex;
use ringbar_vfio_user::Errno;
use rustix::event::{poll, PollFd, PollFlags};
use rustix::io::retry_on_intr;
use rustix::net::{shutdown, Shutdown};

use crate::passing::{self, Received};

/// A socket whose messages are sent whole, from any thread.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: UnixStream,
    /// Held while a message is sent, so that no other message gets between its parts.
    sending: Mutex<()>,
}

impl Stream {
    /// Takes over a connected socket.
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            sending: Mutex::new(()),
        }
    }

    /// Waits until there is something to receive, the end of the stream included.
    pub(crate) fn wait(&self) -> Result<(), Errno> {
        // A receive that waits is woken by the client's receive of the last reply too, as that
        // frees room to send. Such a wake-up takes a processor from the client at the worst time.
        // This call is woken by data alone.
        let mut polled = [PollFd::new(&self.socket, PollFlags::IN)];
        retry_on_intr(|| poll(&mut polled, None))?;
        Ok(())
    }

    /// Waits for data, by the rules of [`passing::receive`].
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<Received, Errno> {
        passing::receive(&self.socket, buffer)
    }

    /// Sends a message: in one piece, unless the system takes less than all of it. If that fails,
    /// it closes the connection, as later bytes could be taken for the rest of the message.
    pub(crate) fn send(&self, message: &[u8], file: Option<&OwnedFd>) -> Result<(), Errno> {
        let sent = self.send_whole(message, file);
        if sent.is_err() {
            self.close();
        }
        sent
    }

    /// Sends all bytes of a message.
    fn send_whole(&self, message: &[u8], file: Option<&OwnedFd>) -> Result<(), Errno> {
        let files = file.map(AsFd::as_fd);
        let mut fds = files.as_slice();
        // A message may need several calls. Without the lock another thread's message could get
        // between them.
        let _whole = self.sending.lock();
        let mut rest = message;
        while !rest.is_empty() {
            let sent = passing::send(&self.socket, &[IoSlice::new(rest)], fds)?;
            // The file goes with the first bytes. With the next ones it would be sent again.
            fds = &[];
            rest = rest.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// Ends the connection for both sides, and wakes the threads that wait for it.
    pub(crate) fn close(&self) {
        // An error means that the client has ended it already, which is the aim.
        let _ended = shutdown(&self.socket, Shutdown::Both);
    }
}
