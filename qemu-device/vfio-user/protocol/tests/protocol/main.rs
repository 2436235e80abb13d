// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The rules of the protocol, one test per rule, against a device that keeps its calls.

mod dma;
mod info;
mod interrupts;
mod regions;
mod requests;
mod stream;
mod version;

#[cfg(not(feature = "test-utils"))]
compile_error!("these tests use `testing`: cargo test --features test-utils");

use ringbar_vfio_user::testing::{Seen, TestSession};
use ringbar_vfio_user::wire::{Header, FLAG_ERROR, TYPE_REPLY};
use ringbar_vfio_user::Errno;

/// Step through long series. Miri is thousands of times slower, and takes every 17th only.
const EACH: usize = if cfg!(miri) { 17 } else { 1 };

/// Returns the error in the reply to a negotiated client; `None` for success.
fn outcome(bytes: &[u8], fds: u32) -> Option<Errno> {
    outcome_of(&mut TestSession::negotiated(), bytes, fds)
}

/// Sends one command and checks its reply. An error must come without payload, and its command be
/// logged. No file descriptor of a refused command may stay open.
fn outcome_of(test: &mut TestSession, bytes: &[u8], fds: u32) -> Option<Errno> {
    test.seen.clear();
    let live = test.bank.live();
    test.send(bytes, fds).unwrap();
    let command = Header::parse(bytes).unwrap().command;
    match test.seen.as_slice() {
        [Seen::Sent(header, ..)] => {
            assert_eq!((header.flags, header.error), (TYPE_REPLY, 0));
            None
        }
        [Seen::Sent(header, payload, None), Seen::Refused(refused, refusal)] => {
            assert_eq!(header.flags, TYPE_REPLY | FLAG_ERROR);
            assert_eq!((header.command, *refused), (command, command));
            assert!(payload.is_empty());
            assert_eq!(test.bank.live(), live, "descriptors left");
            let errno = Errno::from_raw_os_error(header.error.try_into().unwrap());
            assert_eq!(errno, refusal.errno());
            Some(errno)
        }
        other => panic!("{other:?}"),
    }
}

/// Returns the reason for which the last command was refused, in words.
fn reason(test: &TestSession) -> String {
    match test.seen.as_slice() {
        [_, Seen::Refused(_, refusal)] => refusal.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Returns the payload of the reply, and the number of its file.
fn reply(test: &mut TestSession, bytes: &[u8]) -> (Vec<u8>, Option<u32>) {
    assert_eq!(outcome_of(test, bytes, 0), None);
    match test.seen.pop() {
        Some(Seen::Sent(_, payload, file)) => (payload, file),
        other => panic!("{other:?}"),
    }
}

/// Returns a message whose payload has lost its last byte.
fn shortened(message: &[u8]) -> Vec<u8> {
    resized(&message[..message.len() - 1])
}

/// Returns a message whose payload has one byte more.
fn lengthened(message: &[u8]) -> Vec<u8> {
    resized(&[message, &[0]].concat())
}

fn resized(bytes: &[u8]) -> Vec<u8> {
    let header = Header::parse(bytes).unwrap();
    ringbar_vfio_user::testing::with_header(header, &bytes[16..])
}

/// Returns a message with the 32-bit word at `offset` of its payload replaced.
fn patched(message: &[u8], offset: usize, word: u32) -> Vec<u8> {
    let mut bytes = message.to_vec();
    bytes[16 + offset..20 + offset].copy_from_slice(&word.to_ne_bytes());
    bytes
}
