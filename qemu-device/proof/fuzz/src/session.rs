// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The protocol: any messages of the client, in any portions.
//!
//! Invariants: a command has one reply, or none if it wants none. A refusal has an error number and
//! nothing else. Messages mean the same however they are cut. Mappings do not overlap and are not
//! split. No descriptor stays open.

use std::collections::VecDeque;

use ringbar_vfio_user::device::DmaRange;
use ringbar_vfio_user::testing::{self, Call, Seen, TestSession};
use ringbar_vfio_user::wire::{
    Header, FLAG_ERROR, FLAG_NO_REPLY, HEADER_SIZE, MAX_FDS, MAX_MESSAGE, TYPE_COMMAND, TYPE_MASK,
    TYPE_REPLY,
};
use ringbar_vfio_user::Refusal;

use crate::input::Input;

/// Most messages per input.
const MOST: usize = 64;

/// A message, and the portions in which it is sent.
struct Message {
    bytes: Vec<u8>,
    fds: u32,
    /// Length of the first portion, and of the later ones.
    cuts: (usize, usize),
}

/// Runs the target. Returns the number of messages that the input made.
pub fn run(data: &[u8]) -> u64 {
    let mut input = Input::new(data);
    let start = match input.byte() % 8 {
        0 => TestSession::new,
        _ => TestSession::negotiated,
    };
    let mut messages = Vec::new();
    while input.more() && messages.len() < MOST {
        messages.push(message(&mut input));
    }

    let mut whole = start();
    for message in &messages {
        // After a violation, later messages get no reply. So the result of this one is not needed.
        let _violation = whole.send(&message.bytes, message.fds);
    }
    let mut cut = start();
    for message in &messages {
        send_in_portions(&mut cut, message);
    }

    assert_eq!(
        whole.seen, cut.seen,
        "messages cut in another way mean something else"
    );
    assert_eq!(whole.device.calls, cut.device.calls);
    check_replies(&messages, &whole.seen);
    check_refused_descriptors(&messages, &whole.seen);
    check_mappings(&whole);
    check_descriptors(whole);
    check_descriptors(cut);
    messages.len() as u64
}

fn message(input: &mut Input<'_>) -> Message {
    let mut bytes = well_formed(input);
    // Most messages stay unchanged: after some changes the session reads no later message.
    match input.byte() {
        0..=15 => spoil_header(input, &mut bytes),
        16..=47 => spoil_payload(input, &mut bytes),
        48..=55 => {
            // The header still has the old size.
            let length = bytes.len().saturating_sub(usize::from(input.byte()));
            bytes.truncate(length.max(1));
        }
        56..=103 => set(&mut bytes, 8, FLAG_NO_REPLY),
        _ => {}
    }
    let fds = match input.byte() {
        0..=15 => u32::from(input.byte() % 20),
        16..=63 => 1,
        64..=79 => 2,
        _ => 0,
    };
    Message {
        bytes,
        fds,
        cuts: (
            usize::from(input.byte() % 64).max(1),
            usize::from(input.byte()).max(1),
        ),
    }
}

/// Returns a message of a client, with a header that fits.
pub(crate) fn well_formed(input: &mut Input<'_>) -> Vec<u8> {
    match input.byte() % 16 {
        0 => testing::version(testing::VERSION_TEXT),
        1 => {
            let length = usize::from(input.byte());
            testing::version(&String::from_utf8_lossy(input.bytes(length)))
        }
        2 | 3 => {
            let flags = match input.byte() {
                0..=191 => 3,
                byte => u32::from(byte % 16),
            };
            testing::dma_map(flags, input.pages(), input.pages(), input.pages())
        }
        4 => {
            let flags = match input.byte() {
                0..=191 => 0,
                byte => u32::from(byte % 4),
            };
            testing::dma_unmap(flags, input.pages(), input.pages())
        }
        5 => testing::region_info(input.field32(), u32::from(input.byte() % 12)),
        6 => testing::interrupt_info(input.field32(), u32::from(input.byte() % 7)),
        7 | 8 => {
            let flags = u32::from(input.byte() % 64);
            let index = u32::from(input.byte() % 6);
            let (start, count) = (small(input), small(input));
            let length = usize::from(input.byte() % 8);
            testing::set_interrupts(flags, index, start, count, input.bytes(length))
        }
        9 => testing::region_read(u32::from(input.byte() % 10), input.field(), small(input)),
        10 => {
            let (region, offset) = (u32::from(input.byte() % 10), input.field());
            let length = usize::from(input.byte() % 32);
            testing::region_write(region, offset, input.bytes(length))
        }
        _ => {
            let command = u16::from(input.byte() % 24);
            let length = usize::from(input.byte());
            testing::message(command, input.bytes(length))
        }
    }
}

/// Returns a count that is rarely large: megabytes would take nearly all the time.
fn small(input: &mut Input<'_>) -> u32 {
    match input.byte() {
        byte @ 0..=240 => u32::from(byte % 10),
        241..=250 => 4096,
        _ => input.field32(),
    }
}

fn spoil_header(input: &mut Input<'_>, bytes: &mut [u8]) {
    let (place, value) = match input.byte() % 4 {
        0 => (8, u32::from(input.byte())),
        1 => (8, u32::from(input.byte()) | FLAG_NO_REPLY),
        2 => (4, u32::from(input.byte())),
        _ => (4, input.field32()),
    };
    set(bytes, place, value);
}

fn spoil_payload(input: &mut Input<'_>, bytes: &mut Vec<u8>) {
    let fields = bytes.len().saturating_sub(HEADER_SIZE) / 4;
    if fields > 0 {
        let place = HEADER_SIZE + usize::from(input.byte()) % fields * 4;
        set(bytes, place, input.field32());
    }
    if input.byte() & 1 != 0 {
        let length = usize::from(input.byte()).max(HEADER_SIZE);
        bytes.resize(length, 0);
        set(bytes, 4, length as u32);
    }
}

/// Replaces 32 bits.
fn set(bytes: &mut [u8], place: usize, value: u32) {
    if let Some(field) = bytes.get_mut(place..place + 4) {
        field.copy_from_slice(&value.to_ne_bytes());
    }
}

fn send_in_portions(test: &mut TestSession, message: &Message) {
    let (first, others) = message.cuts;
    let (first, rest) = message.bytes.split_at(first.min(message.bytes.len()));
    let _violation = test.send(first, message.fds);
    for portion in rest.chunks(others) {
        let _violation = test.send(portion, 0);
    }
}

/// Returns the commands in a stream, as far as it is valid.
fn commands(messages: &[Message]) -> VecDeque<Header> {
    let stream: Vec<u8> = messages
        .iter()
        .flat_map(|message| &message.bytes)
        .copied()
        .collect();
    let mut rest = stream.as_slice();
    let mut commands = VecDeque::new();
    while let Some(header) = Header::parse(rest) {
        let size = header.size as usize;
        if size < HEADER_SIZE || header.flags & TYPE_MASK > TYPE_REPLY {
            break;
        }
        // One that is too long is refused by its header, whatever comes of it, and is the last.
        let behind = rest.get(size..).filter(|_| size <= MAX_MESSAGE);
        if behind.is_none() && size <= MAX_MESSAGE {
            break;
        }
        if header.flags & TYPE_MASK == TYPE_COMMAND {
            commands.push_back(header);
        }
        let Some(behind) = behind else {
            break;
        };
        rest = behind;
    }
    commands
}

/// Fails unless each reply is well-formed and belongs to the next command that wants one.
fn check_replies(messages: &[Message], seen: &[Seen]) {
    let mut waiting = commands(messages);
    waiting.retain(|header| header.flags & FLAG_NO_REPLY == 0);
    for action in seen {
        let Seen::Sent(reply, payload, file) = action else {
            continue;
        };
        let command = waiting.pop_front().expect("a reply without a command");
        assert_eq!((reply.id, reply.command), (command.id, command.command));
        assert_eq!(reply.flags & !FLAG_ERROR, TYPE_REPLY);
        assert_eq!(reply.size as usize, HEADER_SIZE + payload.len());
        assert!(reply.size as usize <= MAX_MESSAGE);
        if reply.flags & FLAG_ERROR != 0 {
            assert!(reply.error != 0 && payload.is_empty() && file.is_none());
        } else {
            assert_eq!(reply.error, 0);
        }
    }
}

/// Fails if a client without descriptors is refused for descriptors.
fn check_refused_descriptors(messages: &[Message], seen: &[Seen]) {
    let with = messages.iter().filter(|message| message.fds > 0).count();
    let refused = seen
        .iter()
        .filter(|seen| matches!(seen, Seen::Refused(_, Refusal::Fds { .. })))
        .count();
    assert!(
        refused <= with,
        "{refused} refused, {with} sent descriptors"
    );
}

/// Fails if mappings overlap or a mapping was split.
fn check_mappings(test: &TestSession) {
    let mut mapped: Vec<DmaRange> = Vec::new();
    for call in &test.device.calls {
        match call {
            Call::Map(new, ..) => {
                let apart = |old: &DmaRange| old.last < new.first || new.last < old.first;
                assert!(
                    mapped.iter().all(apart),
                    "{new:x?} overlaps one of {mapped:x?}"
                );
                mapped.push(*new);
            }
            Call::Unmap(gone) => {
                let inside = |old: &DmaRange| gone.first <= old.first && old.last <= gone.last;
                let apart = |old: &DmaRange| old.last < gone.first || gone.last < old.first;
                let whole = mapped.iter().all(|old| inside(old) || apart(old));
                assert!(whole, "{gone:x?} splits one of {mapped:x?}");
                mapped.retain(apart);
            }
            _ => {}
        }
    }
    assert_eq!(test.device.mappings(), mapped.len());
}

/// Fails if a session keeps too many descriptors, or any after its end.
fn check_descriptors(test: TestSession) {
    let bank = test.bank.clone();
    let mappings = test.device.mappings();
    // The device holds two, one file per mapping, and the eventfds of one request. The session
    // holds those of a message that still arrives.
    assert!(
        bank.live() <= 2 + mappings + 2 * MAX_FDS,
        "{} descriptors",
        bank.live()
    );
    drop(test);
    assert_eq!(bank.live(), 0);
}
