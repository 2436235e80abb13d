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

/// Most file descriptors that the kernel lets through with one piece of data.
const KERNEL_MAX_FDS: usize = 253;

/// A socket whose messages are sent whole, from whatever thread.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: UnixStream,
    /// Held while a message is sent, so that no other gets between its parts.
    sending: Mutex<()>,
}

/// What came in.
#[derive(Debug)]
pub(crate) struct Received {
    /// How many bytes; 0 at the end.
    pub(crate) length: usize,
    /// What came along.
    pub(crate) fds: Vec<OwnedFd>,
    /// There were more, which the system did not let in.
    pub(crate) incomplete: bool,
}

impl Stream {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            sending: Mutex::new(()),
        }
    }

    /// Waits for data. The file descriptors belong to what the first byte belongs to, if no more
    /// is asked for than up to the end of that.
    ///
    /// Sockets count as not sent. No message needs one, and a client that is gone would still be
    /// there as long as its own end of the connection is open here.
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

    /// Sends a message: in one piece, unless the system takes less than all of it. If it fails, the
    /// connection is closed, as what follows could be taken for the rest of the message.
    pub(crate) fn send(&self, message: &[u8], file: Option<&OwnedFd>) -> Result<(), Errno> {
        let sent = self.send_whole(message, file);
        if sent.is_err() {
            self.close();
        }
        sent
    }

    fn send_whole(&self, message: &[u8], file: Option<&OwnedFd>) -> Result<(), Errno> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let files = file.map(AsFd::as_fd);
        if files.is_some() {
            control.push(SendAncillaryMessage::ScmRights(files.as_slice()));
        }
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
            control.clear();
            rest = rest.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// Ends the connection for both sides, and wakes up who waits for it.
    pub(crate) fn close(&self) {
        // The client may have ended it already.
        let _ended = shutdown(&self.socket, Shutdown::Both);
    }
}
