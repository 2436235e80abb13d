// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The borders between messages, for all contents and all portions in which they arrive.

use proptest::prelude::*;
use ringbar_vfio_user::testing::{
    dma_map, dma_unmap, interrupt_info, message, region_info, region_read, region_write,
    set_interrupts, version, with_header, words, Call, Seen, TestSession, VERSION_TEXT,
};
use ringbar_vfio_user::wire::{
    command, Header, FLAG_ERROR, FLAG_NO_REPLY, MAX_FDS, MAX_MESSAGE, TYPE_REPLY,
};
use ringbar_vfio_user::{Errno, Violation};

use crate::{outcome, outcome_of, EACH};

fn header(command: u16, size: u32, flags: u32) -> [u8; 16] {
    Header {
        id: 7,
        command,
        size,
        flags,
        error: 0,
    }
    .to_bytes()
}

/// Returns whether the session still understands the client.
fn is_in_step(test: &mut TestSession) -> bool {
    outcome_of(test, &region_read(0, 0, 4), 0).is_none()
}

/// Returns one well-formed message of each command, and one of most kinds of refusal, with
/// descriptors.
fn conversation() -> Vec<(Vec<u8>, u32)> {
    let mut posted = region_write(0, 0, &[1; 8]);
    posted[8..12].copy_from_slice(&FLAG_NO_REPLY.to_ne_bytes());
    vec![
        (version(VERSION_TEXT), 0),
        (dma_map(3, 0, 0, 0x1000), 1),
        (dma_map(3, 0, 0, 0x1000), 1),
        (dma_map(1, 0, 0x1000, 0x1000), 0),
        (message(command::DEVICE_GET_INFO, &words(&[16, 0, 0, 0])), 0),
        (region_info(32, 2), 0),
        (region_info(80, 2), 0),
        (interrupt_info(16, 2), 0),
        (set_interrupts(0x24, 2, 0, 4, &[]), 4),
        (set_interrupts(0x24, 2, 0, 4, &[]), 3),
        (set_interrupts(0x22, 2, 0, 4, &[1, 0, 0, 1]), 0),
        (region_read(7, 0, 64), 2),
        (region_read(7, 0, 64), 0),
        (posted, 0),
        (region_write(9, 0, &[1; 100]), 0),
        (message(99, &[1; 50]), 20),
        (message(command::DEVICE_FEATURE, &words(&[8, 1])), 0),
        (
            with_header(
                Header {
                    flags: TYPE_REPLY,
                    command: command::DMA_READ,
                    ..Header::default()
                },
                &[3; 40],
            ),
            1,
        ),
        (dma_unmap(2, 0, 0), 0),
        (message(command::DEVICE_RESET, &[]), 0),
    ]
}

/// Returns the outcome of a conversation if `cut` cuts each message in pieces.
fn outcome_in_pieces(cut: impl Fn(usize) -> Vec<usize>) -> (Vec<Seen>, Vec<Call>, usize) {
    let mut test = TestSession::new();
    for (bytes, fds) in conversation() {
        let mut fds = fds;
        let mut rest = &bytes[..];
        for length in cut(bytes.len()) {
            let (piece, behind) = rest.split_at(length.min(rest.len()));
            test.send(piece, fds).unwrap();
            (rest, fds) = (behind, 0);
        }
        test.send(rest, fds).unwrap();
    }
    assert_eq!(test.session.end(), Ok(()));
    (test.seen, test.device.calls, test.bank.live())
}

#[test]
fn bytes_may_come_one_by_one() {
    let whole = outcome_in_pieces(|_| vec![]);
    let dripped = outcome_in_pieces(|length| vec![1; length - 1]);

    assert_eq!(whole, dripped);
}

#[test]
fn message_may_be_cut_anywhere() {
    let whole = outcome_in_pieces(|_| vec![]);

    for place in (1..300).step_by(EACH) {
        assert_eq!(whole, outcome_in_pieces(|_| vec![place]), "{place}");
    }
}

#[test]
fn messages_may_come_in_one_piece() {
    let mut apart = TestSession::new();
    let mut together = TestSession::new();
    let messages: Vec<Vec<u8>> = conversation().into_iter().map(|(bytes, _)| bytes).collect();

    for bytes in &messages {
        apart.send(bytes, 0).unwrap();
    }
    together.send(&messages.concat(), 0).unwrap();

    assert_eq!(apart.seen, together.seen);
    assert_eq!(apart.device.calls, together.device.calls);
}

#[test]
fn wanted_leads_from_message_to_message() {
    let mut test = TestSession::new();

    for (bytes, fds) in conversation() {
        let mut rest = &bytes[..];
        let mut fds = fds;
        while !rest.is_empty() {
            let wanted = test.session.wanted();
            assert!(wanted > 0 && wanted <= rest.len());
            let (piece, behind) = rest.split_at(wanted);
            test.send(piece, fds).unwrap();
            (rest, fds) = (behind, 0);
        }
    }
}

#[test]
fn client_may_go_at_any_byte_and_nothing_stays_open() {
    let bytes: Vec<u8> = conversation().concat_bytes();
    let length = bytes.len();
    let ends = (0..length).filter(|end| end % 7 == 0 || *end > length - 60);
    for end in ends.step_by(EACH) {
        let mut test = TestSession::new();
        let bank = test.bank.clone();
        test.send(&bytes[..end], 0).unwrap();
        let live = bank.live();
        test.send(&bytes[end..=end], 9).unwrap_or_default();
        assert!(bank.live() >= live);
        drop(test);
        assert_eq!(bank.live(), 0, "gone at {end}");
    }
}

#[test]
fn end_between_messages_is_clean_and_inside_one_is_not() {
    let mut test = TestSession::negotiated();
    assert_eq!(test.session.end(), Ok(()));
    let read = region_read(0, 0, 4);

    for byte in &read[..read.len() - 1] {
        test.send(&[*byte], 0).unwrap();
        assert_eq!(test.session.end(), Err(Violation::Truncated));
    }
    test.send(&read[read.len() - 1..], 0).unwrap();

    assert_eq!(test.session.end(), Ok(()));
}

#[test]
fn message_shorter_than_its_header_ends_the_connection() {
    for size in 0..16 {
        let mut test = TestSession::negotiated();
        let bytes = header(command::DEVICE_RESET, size, 0);
        assert_eq!(test.send(&bytes, 0), Err(Violation::Size(size)));
        assert_eq!(test.seen, []);
    }
}

#[test]
fn message_that_is_neither_command_nor_reply_ends_the_connection() {
    for kind in 2..16 {
        let mut test = TestSession::negotiated();
        let bytes = header(command::DEVICE_RESET, 16, kind);
        assert_eq!(test.send(&bytes, 0), Err(Violation::Type(kind)));
        assert_eq!(test.seen, []);
    }
}

#[test]
fn nothing_is_read_after_a_violation_and_no_descriptor_is_kept() {
    let mut test = TestSession::negotiated();
    let live = test.bank.live();
    let violation = test.send(&header(command::DEVICE_RESET, 3, 0), 5);
    assert_eq!(violation, Err(Violation::Size(3)));

    let again = test.send(&message(command::DEVICE_RESET, &[]), 5);

    assert_eq!(again, violation);
    assert_eq!(test.session.end(), violation);
    assert_eq!((test.device.calls.len(), test.bank.live()), (0, live));
}

#[test]
fn message_that_is_too_long_is_refused_by_its_header_and_ends_the_session() {
    for size in [MAX_MESSAGE as u32 + 1, u32::MAX] {
        let mut test = TestSession::negotiated();

        let violation = test.send(&header(command::REGION_WRITE, size, 0), 0);

        assert_eq!(violation, Err(Violation::Length(size)));
        assert!(
            matches!(&test.seen[..], [Seen::Sent(header, ..), Seen::Refused(..)]
                if header.error == Errno::MSGSIZE.raw_os_error() as u32)
        );
        assert_eq!((test.session.kept(), test.device.calls.len()), (0, 0));
    }
}

#[test]
fn answer_that_is_too_long_ends_the_session_and_is_not_answered() {
    let mut test = TestSession::negotiated();
    let size = MAX_MESSAGE as u32 + 1;

    let violation = test.send(&header(command::DMA_READ, size, TYPE_REPLY), 0);

    assert_eq!(violation, Err(Violation::Length(size)));
    assert!(test.seen.is_empty());
}

#[test]
fn longest_message_is_kept_until_it_is_complete() {
    let mut test = TestSession::negotiated();
    let bytes = region_write(5, 0, &vec![1; MAX_MESSAGE - 32]);
    let (last, most) = bytes.split_last().unwrap();

    test.send(most, 0).unwrap();
    assert_eq!(test.session.kept(), MAX_MESSAGE - 1);
    test.send(&[*last], 0).unwrap();

    assert_eq!((test.session.kept(), test.device.calls.len()), (0, 1));
}

#[test]
fn unsupported_commands_are_drained_and_refused() {
    let ours = [1, 2, 3, 4, 5, 7, 8, 9, 10, 13, 16];
    let mut test = TestSession::negotiated();

    for command in (0..40).step_by(EACH).chain([255, 256, 0x8000, u16::MAX]) {
        if ours.contains(&command) {
            continue;
        }
        for length in [0, 1, 16, 17, 4096] {
            let bytes = message(command, &vec![0xff; length]);
            let errno = outcome_of(&mut test, &bytes, 0);
            assert_eq!(errno, Some(Errno::NOTSUP), "{command}");
        }
    }
    assert!(is_in_step(&mut test));
    assert_eq!(test.device.calls.len(), 1);
}

#[test]
fn no_command_without_reply_is_answered() {
    let mut test = TestSession::negotiated();

    for command in 0..40 {
        for length in [0, 16, 20, 24, 32, 33] {
            let mut bytes = message(command, &vec![0; length]);
            bytes[8..12].copy_from_slice(&FLAG_NO_REPLY.to_ne_bytes());
            test.send(&bytes, 1).unwrap();
        }
    }

    assert!(test
        .seen
        .iter()
        .all(|seen| matches!(seen, Seen::Refused(..))));
    assert!(is_in_step(&mut test));
}

#[test]
fn flags_without_meaning_are_refused() {
    for flags in (5..32).map(|bit| 1 << bit) {
        let bytes = header(command::DEVICE_RESET, 16, flags);
        assert_eq!(outcome(&bytes, 0), Some(Errno::INVAL), "{flags:#x}");
    }
}

#[test]
fn error_field_of_a_command_is_ignored() {
    let reset = Header {
        command: command::DEVICE_RESET,
        error: 99,
        ..Header::default()
    };

    assert_eq!(outcome(&with_header(reset, &[]), 0), None);
}

#[test]
fn reply_repeats_number_and_command() {
    for id in [0, 1, 0x1234, u16::MAX] {
        let mut test = TestSession::negotiated();
        for (command, flags) in [
            (command::DEVICE_RESET, TYPE_REPLY),
            (99, TYPE_REPLY | FLAG_ERROR),
        ] {
            test.seen.clear();
            let asked = Header {
                id,
                command,
                ..Header::default()
            };
            test.send(&with_header(asked, &[]), 0).unwrap();
            assert!(
                matches!(&test.seen[0], Seen::Sent(header, ..) if (header.id, header.command, header.flags, header.size) == (id, command, flags, 16))
            );
        }
    }
}

#[test]
fn descriptors_in_many_portions_are_one_message() {
    let mut test = TestSession::negotiated();
    let set = set_interrupts(0x24, 2, 0, 4, &[]);

    for byte in &set[..4] {
        test.send(&[*byte], 1).unwrap();
    }
    test.send(&set[4..], 0).unwrap();

    assert_eq!(test.device.calls.len(), 1);
}

#[test]
fn descriptors_beyond_the_limit_are_closed_as_they_come() {
    let mut test = TestSession::negotiated();
    let live = test.bank.live();
    let set = set_interrupts(0x24, 2, 0, 4, &[]);

    for byte in &set[..set.len() - 1] {
        test.send(&[*byte], 253).unwrap();
        assert!(test.bank.live() <= live + MAX_FDS);
    }
    test.send(&set[set.len() - 1..], 253).unwrap();

    assert_eq!(test.bank.live(), live);
    assert_eq!(test.device.calls, []);
    assert!(is_in_step(&mut test));
}

/// Joins the messages of a conversation.
trait ConcatBytes {
    fn concat_bytes(&self) -> Vec<u8>;
}

impl ConcatBytes for Vec<(Vec<u8>, u32)> {
    fn concat_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|(bytes, _)| bytes.clone()).collect()
    }
}

/// Makes messages that are right but for a few words.
fn nearly_right() -> impl Strategy<Value = (Vec<u8>, u32)> {
    let messages = conversation();
    let word = prop_oneof![
        Just(0),
        Just(1),
        Just(u32::MAX),
        Just(1 << 31),
        Just(0xfff),
        Just(0x1000),
        0..64_u32,
        any::<u32>()
    ];
    (
        0..messages.len(),
        proptest::collection::vec((any::<prop::sample::Index>(), word), 0..4),
        0..20_u32,
    )
        .prop_map(move |(which, changes, fds)| {
            let mut bytes = messages[which].0.clone();
            for (place, word) in changes {
                // The size stays, so that the stream goes on.
                let places: Vec<usize> = (0..bytes.len() / 4).filter(|&word| word != 1).collect();
                let at = 4 * places[place.index(places.len())];
                bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
            }
            (bytes, fds)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 512 }))]

    #[test]
    fn portions_make_no_difference(
        messages in proptest::collection::vec(nearly_right(), 1..12),
        portions in proptest::collection::vec(1..40_usize, 1..8),
    ) {
        let mut whole = TestSession::negotiated();
        let mut cut = TestSession::negotiated();
        for (bytes, fds) in messages {
            let expected = whole.send(&bytes, fds);
            let mut result = Ok(());
            let mut rest = &bytes[..];
            let mut fds = fds;
            for &length in portions.iter().cycle() {
                if rest.is_empty() || result.is_err() {
                    break;
                }
                let (piece, behind) = rest.split_at(length.min(rest.len()));
                result = cut.send(piece, fds);
                (rest, fds) = (behind, 0);
            }
            prop_assert_eq!(expected, result);
        }
        prop_assert_eq!(&whole.seen, &cut.seen);
        prop_assert_eq!(&whole.device.calls, &cut.device.calls);
        prop_assert_eq!(whole.bank.live(), cut.bank.live());
    }

    #[test]
    fn any_bytes_are_accepted_and_everything_is_closed(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        fds in 0..40_u32,
    ) {
        let mut test = TestSession::negotiated();
        let bank = test.bank.clone();
        let _whatever = test.send(&bytes, fds);
        drop(test);
        prop_assert_eq!(bank.live(), 0);
    }

    #[test]
    fn every_command_with_a_reply_gets_exactly_one(
        messages in proptest::collection::vec(nearly_right(), 1..20),
    ) {
        let mut test = TestSession::negotiated();
        for (bytes, fds) in messages {
            test.seen.clear();
            let asked = Header::parse(&bytes).unwrap();
            let result = test.send(&bytes, fds);
            let replies = test
                .seen
                .iter()
                .filter(|seen| matches!(seen, Seen::Sent(..)))
                .count();
            let command = asked.flags & 0xf == 0;
            let due = command && asked.flags & FLAG_NO_REPLY == 0;
            prop_assert_eq!(replies, usize::from(due && result.is_ok()));
            if result.is_err() {
                break;
            }
        }
    }
}
