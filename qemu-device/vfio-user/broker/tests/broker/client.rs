// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The client's side of a socket, in QEMU's place.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

use ringbar_broker::Message;
use ringbar_endpoint::passing;
use ringbar_vfio_user::incoming::Incoming;
use ringbar_vfio_user::testing::{region_read, version, VERSION_TEXT};
use ringbar_vfio_user::wire::KERNEL_MAX_FDS;

use crate::common::{message, ALIVE};
use crate::PATIENCE;

/// Bit of the numbers of requests that a server of these tests treats in its special way.
pub(crate) const SPECIAL: u16 = 0x8000;

/// A client.
pub(crate) struct Client {
    pub(crate) socket: UnixStream,
    next_id: u16,
}

impl Client {
    /// Takes over a socket.
    pub(crate) fn new(socket: UnixStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, next_id: 0 }
    }

    /// Agrees on a version.
    pub(crate) fn negotiate(&mut self) {
        let reply = self.call(&version(VERSION_TEXT), &[]);
        assert!(!reply.is_error());
    }

    /// Sends a request with a number of its own. Returns the request.
    pub(crate) fn send(
        &mut self,
        bytes: &[u8],
        fds: &[BorrowedFd<'_>],
        special: bool,
    ) -> Message<OwnedFd> {
        let mut request = message(bytes, Vec::new());
        self.next_id = (self.next_id + 1) & !SPECIAL;
        request.header.id = self.next_id | if special { SPECIAL } else { 0 };
        send(&self.socket, &request, fds);
        request
    }

    /// Receives the next message, which must be the answer to this request.
    #[track_caller]
    pub(crate) fn answer_to(&mut self, request: &Message<OwnedFd>) -> Message<OwnedFd> {
        let reply = receive(&self.socket).expect("the connection has ended");
        assert!(reply.is_reply());
        assert_eq!(
            (reply.header.id, reply.header.command),
            (request.header.id, request.header.command)
        );
        reply
    }

    /// Sends a request and returns its answer.
    #[track_caller]
    pub(crate) fn call(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Message<OwnedFd> {
        let request = self.send(bytes, fds, false);
        self.answer_to(&request)
    }

    /// Sends a request that the server treats in its special way, and returns its answer.
    #[track_caller]
    pub(crate) fn call_special(&mut self, bytes: &[u8]) -> Message<OwnedFd> {
        let request = self.send(bytes, &[], true);
        self.answer_to(&request)
    }

    /// Reads a register until a server answers.
    #[track_caller]
    pub(crate) fn wait_for_server(&mut self) {
        let start = Instant::now();
        loop {
            let reply = self.call(&region_read(0, 0, 1), &[]);
            assert!(start.elapsed() < PATIENCE, "no server takes over");
            match reply.payload[16..] {
                [ALIVE] => return,
                [0xff] => thread::yield_now(),
                _ => panic!("neither dead nor alive: {reply:?}"),
            }
        }
    }
}

/// Sends a message as a whole.
pub(crate) fn send(socket: &UnixStream, message: &Message<OwnedFd>, fds: &[BorrowedFd<'_>]) {
    let bytes = [&message.header.to_bytes()[..], &message.payload].concat();
    let own: Vec<BorrowedFd<'_>> = message.fds.iter().map(AsFd::as_fd).collect();
    let fds = if fds.is_empty() { &own } else { fds };
    let sent = passing::send(socket, &[IoSlice::new(&bytes)], fds).unwrap();
    assert_eq!(sent, bytes.len());
}

/// Receives a message; `None` at the end.
pub(crate) fn receive(socket: &UnixStream) -> Option<Message<OwnedFd>> {
    let mut incoming = Incoming::new();
    incoming.accept_fds(KERNEL_MAX_FDS);
    let mut buffer = vec![0; 1 << 16];
    while !incoming.is_complete() {
        let wanted = incoming.wanted().min(buffer.len());
        let received = passing::receive(socket, &mut buffer[..wanted]).ok()?;
        if received.length == 0 {
            return None;
        }
        incoming.take_fds(received.fds);
        incoming.take(&mut &buffer[..received.length]).unwrap();
    }
    Some(Message {
        header: incoming.header()?,
        payload: incoming.payload().into(),
        fds: incoming.fds().drain(..).collect(),
    })
}
