// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Negotiation.

use ringbar_vfio_user::session::ClientLimits;
use ringbar_vfio_user::testing::{message, version, with_header, Seen, TestSession, VERSION_TEXT};
use ringbar_vfio_user::wire::{command, Header, FLAG_ERROR, FLAG_NO_REPLY, TYPE_REPLY};
use ringbar_vfio_user::{Errno, Violation};

use crate::{outcome, reply};

/// Most bytes of the text, with its NUL.
const LIMIT: usize = 16 << 10;

fn text_of(bytes: &[u8]) -> String {
    let (payload, _) = reply(&mut TestSession::new(), bytes);
    assert_eq!(payload[..4], [0; 4]);
    assert!(payload.len() <= bytes.len() - 16, "longer than the request");
    String::from_utf8(payload[4..].to_vec()).unwrap()
}

/// Returns whether the reply is an error and the connection is over.
fn is_refused(bytes: &[u8]) -> bool {
    let mut test = TestSession::new();
    let result = test.send(bytes, 0);
    let Some(Seen::Sent(header, payload, None)) = test.seen.first() else {
        panic!("{:?}", test.seen);
    };
    let refused = header.flags == TYPE_REPLY | FLAG_ERROR;
    assert_eq!(refused, result == Err(Violation::NoVersion));
    assert!(!refused || header.error == 22 && payload.is_empty());
    refused
}

#[test]
fn qemu_gets_all_limits() {
    let text = text_of(&version(VERSION_TEXT));

    assert_eq!(
        text,
        "{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576,\
         \"max_dma_maps\":65535,\"pgsizes\":4096}}\0"
    );
}

#[test]
fn capabilities_that_were_not_proposed_are_not_in_the_reply() {
    let text = text_of(&version(r#"{"capabilities":{"max_msg_fds":100}}"#));

    assert_eq!(text, "{\"capabilities\":{\"max_msg_fds\":16}}\0");
}

#[test]
fn client_is_told_of_as_many_descriptors_as_the_device_has_interrupts_if_it_takes_more_than_qemu() {
    for (named, told) in [(1, 16), (16, 16), (17, 17), (65, 65), (1000, 65)] {
        let text = format!("{{\"capabilities\":{{\"max_msg_fds\":{named:5}}}}}");
        let mut test = TestSession::new();
        test.device.set_vectors(65);

        test.send(&version(&text), 0).unwrap();

        let Some(Seen::Sent(_, payload, None)) = test.seen.first() else {
            panic!("{:?}", test.seen);
        };
        let answer = format!("{{\"capabilities\":{{\"max_msg_fds\":{told}}}}}\0");
        assert_eq!(&payload[4..], answer.as_bytes());
    }
}

#[test]
fn reply_that_would_be_longer_than_the_request_has_fewer_capabilities() {
    let text = text_of(&version(
        r#"{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1}}"#,
    ));

    assert_eq!(text, "{\"capabilities\":{\"max_msg_fds\":16}}\0");
}

#[test]
fn shortest_text_is_answered() {
    assert_eq!(text_of(&version("{}")), "{}\0");
}

#[test]
fn version_without_text_is_answered_without() {
    assert_eq!(text_of(&message(command::VERSION, &[0; 4])), "");
}

#[test]
fn newer_minor_version_is_answered_with_ours() {
    let text = text_of(&message(command::VERSION, &[0, 0, 9, 0]));

    assert_eq!(text, "");
}

#[test]
fn limits_of_the_client_are_kept() {
    let mut test = TestSession::new();
    let text = r#"{"capabilities":{"max_msg_fds":3,"max_data_xfer_size":4096}}"#;

    test.send(&version(text), 0).unwrap();

    let limits = ClientLimits {
        fds: 3,
        transfer: 4096,
    };
    assert_eq!(test.session.client_limits(), Some(limits));
}

#[test]
fn unnamed_limits_are_those_of_the_protocol() {
    let mut test = TestSession::new();

    test.send(&version("{}"), 0).unwrap();

    assert_eq!(test.session.client_limits(), Some(ClientLimits::default()));
}

#[test]
fn unknown_keys_are_skipped() {
    assert!(!is_refused(&version(
        r#"{"capabilities":{"twin_socket":{"supported":true},"x":[[1]]},"y":null}"#
    )));
}

#[test]
fn payload_shorter_than_the_version_is_refused() {
    assert!(is_refused(&message(command::VERSION, &[0; 3])));
    assert!(is_refused(&message(command::VERSION, &[])));
}

#[test]
fn other_major_version_is_refused() {
    assert!(is_refused(&message(command::VERSION, &[1, 0, 0, 0])));
}

#[test]
fn text_without_nul_at_its_end_is_refused() {
    assert!(is_refused(&message(command::VERSION, b"\0\0\0\0{}")));
}

#[test]
fn text_with_nul_inside_is_refused() {
    assert!(is_refused(&version("{\0}")));
}

#[test]
fn text_other_than_an_object_is_refused() {
    for text in [
        "",
        "1",
        "\"capabilities\"",
        "{",
        "{}}",
        "{\"capabilities\":1}",
        "nul",
        "[]",
        "[{\"max_msg_fds\":1}]",
        "{\"capabilities\":[]}",
        "{\"capabilities\":[1,2,3,4]}",
    ] {
        assert!(is_refused(&version(text)), "{text}");
    }
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let payload = [&[0; 4][..], b"{\"\xff\":1}\0"].concat();

    assert!(is_refused(&message(command::VERSION, &payload)));
}

#[test]
fn text_nested_without_end_is_refused() {
    assert!(is_refused(&version(&"[".repeat(10_000))));
    assert!(is_refused(&version(&"{\"x\":".repeat(3_000))));
}

#[test]
fn text_is_taken_up_to_16_kib() {
    for (length, taken) in [
        (LIMIT - 1, true),
        (LIMIT, true),
        (LIMIT + 1, false),
        (LIMIT + 2, false),
    ] {
        // With the braces and the NUL.
        let text = format!("{{{}}}", " ".repeat(length - 3));
        assert_eq!(is_refused(&version(&text)), !taken, "{length} bytes");
    }
}

#[test]
fn text_of_a_megabyte_is_refused() {
    let text = format!("{{{}}}", " ".repeat(1 << 20));

    assert!(is_refused(&message(
        command::VERSION,
        &[&[0; 4], &text.as_bytes()[..1 << 20], &[0]].concat()
    )));
}

#[test]
fn numbers_out_of_range_are_refused() {
    for pair in [
        "\"max_msg_fds\":-1",
        "\"max_msg_fds\":1.5",
        "\"max_msg_fds\":\"1\"",
        "\"max_msg_fds\":18446744073709551616",
        "\"max_data_xfer_size\":0",
        "\"max_dma_maps\":0",
        "\"pgsizes\":0",
        "\"pgsizes\":6144",
        "\"pgsizes\":true",
    ] {
        let text = format!("{{\"capabilities\":{{{pair}}}}}");
        assert!(is_refused(&version(&text)), "{text}");
    }
}

#[test]
fn key_that_comes_twice_is_refused() {
    assert!(is_refused(&version(
        r#"{"capabilities":{"max_msg_fds":1,"max_msg_fds":2}}"#
    )));
}

#[test]
fn other_command_first_is_refused_and_ends_the_connection() {
    assert!(is_refused(&message(command::DEVICE_RESET, &[])));
}

#[test]
fn command_without_reply_first_ends_the_connection_silently() {
    let mut test = TestSession::new();
    let header = Header {
        command: command::DEVICE_RESET,
        flags: FLAG_NO_REPLY,
        ..Header::default()
    };

    let result = test.send(&with_header(header, &[]), 0);

    assert_eq!(result, Err(Violation::NoVersion));
    assert!(matches!(test.seen.as_slice(), [Seen::Refused(..)]));
    assert!(test.device.calls.is_empty());
}

#[test]
fn refusal_of_a_text_repeats_little_of_it() {
    let mut test = TestSession::new();
    let long = "\u{20ac}".repeat(4000);

    let result = test.send(&version(&format!("{{\"capabilities\":\"{long}\"}}")), 0);

    assert_eq!(result, Err(Violation::NoVersion));
    let Some(Seen::Refused(_, refusal)) = test.seen.last() else {
        panic!("{:?}", test.seen);
    };
    let text = refusal.to_string();
    assert!(text.contains("\u{20ac}") && text.len() < 250, "{text}");
}

#[test]
fn version_without_reply_ends_the_connection() {
    let mut test = TestSession::new();
    let header = Header {
        command: command::VERSION,
        flags: FLAG_NO_REPLY,
        ..Header::default()
    };

    let result = test.send(&with_header(header, &[0; 4]), 0);

    assert_eq!(result, Err(Violation::NoVersion));
    assert_eq!(test.seen, []);
}

#[test]
fn second_version_is_refused_and_changes_nothing() {
    let mut test = TestSession::negotiated();
    let before = test.session.client_limits();

    test.send(&version("{}"), 0).unwrap();

    assert_eq!(test.session.client_limits(), before);
    assert_eq!(outcome(&version("{}"), 0), Some(Errno::INVAL));
}

#[test]
fn version_with_a_file_descriptor_is_refused() {
    let mut test = TestSession::new();

    let result = test.send(&version("{}"), 1);

    assert_eq!(result, Err(Violation::NoVersion));
}
