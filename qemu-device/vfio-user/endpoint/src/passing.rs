// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Bytes with file descriptors over a UNIX socket, one system call each.
//!
//! [`Connection`](crate::Connection) uses these, and so does a program between client and server.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use ringbar_vfio_user::wire::KERNEL_MAX_FDS;
use ringbar_vfio_user::Errno;
use rustix::cmsg_space;
use rustix::io::retry_on_intr;
use rustix::net::{
    recvmsg, sendmsg, sockopt, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

/// Result of one receive.
#[derive(Debug)]
pub struct Received {
    /// Number of bytes; 0 at the end.
    pub length: usize,
    /// File descriptors that came with them.
    pub fds: Vec<OwnedFd>,
    /// Whether there were more descriptors, which the system did not deliver.
    pub incomplete: bool,
}

/// Receives what is there, after waiting for it if the socket waits.
///
/// The caller must ask for no more bytes than up to the end of a message. Then the file descriptors
/// belong to the message of the first byte.
///
/// Sockets among the descriptors are closed. No message needs one. A peer that is gone would seem
/// to be there as long as this process holds the peer's own end of the connection.
///
/// # Errors
///
/// Fails if the socket does, or if it does not wait and nothing is there.
pub fn receive(socket: &UnixStream, buffer: &mut [u8]) -> Result<Received, Errno> {
    // With less room some would be lost.
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(KERNEL_MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = retry_on_intr(|| {
        recvmsg(
            socket,
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

/// Sends these pieces in one call, as far as the socket takes them, with file descriptors. Returns
/// the number of bytes that it took.
///
/// The descriptors go with the first bytes: the caller must not send them again with the rest.
///
/// # Errors
///
/// Fails if there are more than [`KERNEL_MAX_FDS`] descriptors, if the socket fails, or if it does not wait
/// and takes nothing.
pub fn send(
    socket: &UnixStream,
    pieces: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(KERNEL_MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::TOOBIG);
    }
    retry_on_intr(|| sendmsg(socket, pieces, &mut control, SendFlags::NOSIGNAL))
}
