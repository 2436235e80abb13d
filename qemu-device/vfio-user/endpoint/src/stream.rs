// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Bytes and file descriptors over a socket.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use parking_lot::Mutex;
use ringbar_vfio_user::Errno;
use rustix::cmsg_space;
use rustix::io::retry_on_intr;
use rustix::net::{
    recvmsg, sendmsg, shutdown, sockopt, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags,
    ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown,
};

/// Most file descriptors that the kernel delivers with one piece of data. With less room some would
/// be lost.
const KERNEL_MAX_FDS: usize = 253;

/// A socket whose messages are sent whole, from any thread.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: UnixStream,
    /// Held while a message is sent, so that no other message gets between its parts.
    sending: Mutex<()>,
}

/// Result of one receive.
#[derive(Debug)]
pub(crate) struct Received {
    /// Number of bytes; 0 at the end.
    pub(crate) length: usize,
    /// File descriptors that came with them.
    pub(crate) fds: Vec<OwnedFd>,
    /// Whether there were more descriptors, which the system did not deliver.
    pub(crate) incomplete: bool,
}

impl Stream {
    /// Takes over a connected socket.
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            sending: Mutex::new(()),
        }
    }

    /// Waits for data. The caller must ask for no more bytes than up to the end of a message. Then
    /// the file descriptors belong to the message of the first byte.
    ///
    /// Sockets among the descriptors are closed. No message needs one. A client that is gone would
    /// seem to be there as long as this process holds the client's own end of the connection.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<Received, Errno> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(KERNEL_MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let message = retry_on_intr(|| {
            recvmsg(
                &self.socket,
                &mut [IoSliceMut::new(buffer)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )
        })?;
        let mut fds = Vec::new();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = part {
                fds.extend(rights.filter(|fd| sockopt::socket_type(fd).is_err()));
            }
        }
        Ok(Received {
            length: message.bytes,
            fds,
            incomplete: message.flags.contains(ReturnFlags::CTRUNC),
        })
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
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let files = file.map(AsFd::as_fd);
        if files.is_some() {
            control.push(SendAncillaryMessage::ScmRights(files.as_slice()));
        }
        // A message may need several calls. Without the lock another thread's message could get
        // between them.
        let _whole = self.sending.lock();
        let mut rest = message;
        while !rest.is_empty() {
            let sent = retry_on_intr(|| {
                sendmsg(
                    &self.socket,
                    &[IoSlice::new(rest)],
                    &mut control,
                    SendFlags::NOSIGNAL,
                )
            })?;
            // The file goes with the first bytes. With the next ones it would be sent again.
            control.clear();
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
