// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The driver in the kernel's selftests has numbers and structures of its own, in C: they are those of
//! this interface.

use ringbar_spec::ids::{DEVICE_ID, VENDOR_ID};
use ringbar_spec::layout::{ADMIN_PAGE, DOORBELL_PAGES, KICK_PAGES, PUBLIC_PAGE, STATUS_PAGES};
use ringbar_spec::names;
use ringbar_spec::regs::RESET_KEY;
use ringbar_spec::setup::{QueueSetup, Segment, WindowKind, WindowSetup, ALIGNMENT};
use std::mem::offset_of;

const HEADER: &str = include_str!("../../../guest-driver/selftests/ringbar/hw.h");

/// Returns the value of a constant.
fn constant(name: &str) -> usize {
    let begin = format!("#define RINGBAR_{name}");
    let mut values = HEADER.lines().filter_map(|line| line.strip_prefix(&begin));
    let value = values.find(|rest| rest.starts_with(char::is_whitespace));
    let value = value.expect("the header has the constant").trim();
    let number = match value.strip_prefix("0x") {
        Some(digits) => usize::from_str_radix(digits, 16),
        None => value.parse(),
    };
    number.expect("a number")
}

/// Returns the fields of a structure with their offsets, and its size.
fn fields(structure: &str) -> (Vec<(&'static str, usize)>, usize) {
    let begin = format!("struct ringbar_{structure} {{\n");
    let (_, rest) = HEADER.split_once(&begin).expect("the header has it");
    let (body, _) = rest.split_once('}').expect("it ends");
    let mut end = 0_usize;
    let fields = body.lines().filter_map(|line| {
        let (kind, name) = line.trim().trim_end_matches(';').split_once(' ')?;
        let size = match kind {
            "u32" | "__le32" => 4,
            "u64" | "__le64" => 8,
            other => panic!("{structure}: {other} has no size here"),
        };
        let (name, count) = match name.split_once('[') {
            Some((name, count)) => (name, count.trim_end_matches(']').parse().ok()?),
            None => (name, 1),
        };
        let offset = end.next_multiple_of(size);
        end = offset + size * count;
        Some((name, offset))
    });
    (fields.collect(), end)
}

#[test]
fn constants_are_those_of_the_interface() {
    assert_eq!(constant("VENDOR_ID"), usize::from(VENDOR_ID));
    assert_eq!(constant("DEVICE_ID"), usize::from(DEVICE_ID));
    assert_eq!(constant("RESET_KEY"), RESET_KEY as usize);
    assert_eq!(constant("ALIGNMENT"), ALIGNMENT as usize);
    assert_eq!(constant("WINDOW_SEGMENTS"), WindowKind::SEGMENTS.0 as usize);
    let stride = constant("PAGE_STRIDE");
    for (name, offset) in [
        ("PUBLIC_PAGE", PUBLIC_PAGE),
        ("ADMIN_PAGE", ADMIN_PAGE),
        ("KICK_PAGE", KICK_PAGES),
        ("DOORBELL_PAGE", DOORBELL_PAGES),
        ("STATUS_PAGE", STATUS_PAGES),
    ] {
        assert_eq!(constant(name) * stride, offset, "{name}");
    }
}

#[test]
fn admin_registers_are_at_their_offsets() {
    let (fields, _) = fields("admin_page");

    for (name, offset) in fields {
        let register = names::all().find(|it| it.name == name.to_uppercase());
        let register = register.expect("the device has the register");
        assert_eq!(ADMIN_PAGE + offset, register.offset, "{name}");
    }
}

#[test]
fn blocks_are_those_of_the_interface() {
    let segment = size_of::<WindowSetup>();
    assert_eq!(
        fields("queue_block"),
        (
            vec![
                ("queue", offset_of!(QueueSetup, queue)),
                ("domain", offset_of!(QueueSetup, domain)),
                ("submission_ring", offset_of!(QueueSetup, submission_ring)),
                ("completion_ring", offset_of!(QueueSetup, completion_ring)),
                (
                    "submission_entries",
                    offset_of!(QueueSetup, submission_entries)
                ),
                (
                    "completion_entries",
                    offset_of!(QueueSetup, completion_entries)
                ),
                ("vector", offset_of!(QueueSetup, vector)),
                ("reserved", offset_of!(QueueSetup, reserved)),
            ],
            size_of::<QueueSetup>()
        )
    );
    assert_eq!(
        fields("window_block"),
        (
            vec![
                ("window", offset_of!(WindowSetup, window)),
                ("domain", offset_of!(WindowSetup, domain)),
                ("kind", offset_of!(WindowSetup, kind)),
                ("rights", offset_of!(WindowSetup, rights)),
                ("length", offset_of!(WindowSetup, length)),
                ("offset", offset_of!(WindowSetup, offset)),
                ("segments", offset_of!(WindowSetup, segments)),
                ("reserved", offset_of!(WindowSetup, reserved)),
                ("segment_address", segment + offset_of!(Segment, address)),
                ("segment_length", segment + offset_of!(Segment, length)),
            ],
            segment + size_of::<Segment>()
        )
    );
}
