// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A connection between two processes of a case: they take turns, and pass words and open files.

use ringbar_tests::PATIENCE;
use rustix::net::{
    recvmsg, sendmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use zerocopy::IntoBytes;

/// One end of a connection. A read fails after [`PATIENCE`].
pub(crate) struct Link(UnixStream);

impl Link {
    /// Makes both ends, for a process and its child.
    pub(crate) fn pair() -> (Self, Self) {
        let (one, other) = UnixStream::pair().expect("there are sockets");
        (Self::of(one), Self::of(other))
    }

    /// Takes a connection.
    pub(crate) fn of(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        Self(stream)
    }

    /// Gives the other process its turn.
    pub(crate) fn tell(&self) {
        (&self.0).write_all(&[0]).expect("the other process reads");
    }

    /// Waits for this process's turn.
    pub(crate) fn hear(&self) {
        let heard = (&self.0).read_exact(&mut [0]);
        heard.expect("the other process gets that far");
    }

    /// Waits until the other process has closed its end, or ended.
    pub(crate) fn hear_the_end(&self) {
        let read = (&self.0).read(&mut [0]).expect("the other process ends");
        assert_eq!(read, 0, "bytes before the end");
    }

    /// Passes words on.
    pub(crate) fn tell_words<const N: usize>(&self, words: [u64; N]) {
        let told = (&self.0).write_all(words.as_bytes());
        told.expect("the other process reads");
    }

    /// Receives words.
    pub(crate) fn hear_words<const N: usize>(&self) -> [u64; N] {
        let mut words = [0; N];
        let heard = (&self.0).read_exact(words.as_mut_bytes());
        heard.expect("the other process gets that far");
        words
    }

    /// Passes an open file on (`SCM_RIGHTS`).
    pub(crate) fn hand_over(&self, file: &File) {
        let files = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        assert!(rights.push(SendAncillaryMessage::ScmRights(&files)));
        let sent = sendmsg(
            &self.0,
            &[IoSlice::new(&[0])],
            &mut rights,
            SendFlags::empty(),
        );
        assert_eq!(sent, Ok(1));
    }

    /// Receives an open file.
    pub(crate) fn take_over(&self) -> File {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(
            &self.0,
            &mut [IoSliceMut::new(&mut [0])],
            &mut rights,
            flags,
        );
        received.expect("the other process gets that far");
        let file = rights.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => files.next(),
            _ => None,
        });
        file.expect("a file comes with the byte").into()
    }
}
