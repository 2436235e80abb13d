// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The bytes that a window shows, and those that it does not.

use crate::pieces::Pieces;
use crate::{copy, ends_with, fill, refused, DEVICE_PARTS, UNTOUCHED};
use ringbar_client::{descriptors, Rights};
use ringbar_spec::ring::Status;
use ringbar_tests::{case, expect_bytes, open, page_size, pattern_bytes, seed, succeed};
use ringbar_uapi::ioctl::MAX_PARTS;
use rustix::io::Errno;

#[case]
fn device_writes_parts_in_their_order_and_nothing_else() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let mut pieces = Pieces::new(&device);
    let window = pieces.open(&device, Rights::Write);
    let seed = seed();

    succeed(
        &mut queue,
        descriptors::pattern(0, seed, (window.number(), 0), pieces.length() as u32),
    );

    pieces.written(0, &pattern_bytes(seed, pieces.length() as usize));
    pieces.check();
}

#[case]
fn copies_across_parts_move_exactly_their_bytes() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let mut pieces = Pieces::new(&device);
    let window = pieces.open(&device, Rights::ReadWrite).number();
    let whole = pieces.length();
    let plain = device
        .create_buffer(whole as usize, Rights::ReadWrite)
        .unwrap();
    let mut seed = seed();
    let mut random = move |below: u64| {
        // xorshift64 (Marsaglia). Any sequence that can be repeated would do.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };

    for round in 0..100 {
        // Every third copy is short and near the end of a part.
        let (offset, longest) = match round % 3 {
            0 => (70_001 - 1 - random(8), 16),
            _ => (random(whole), whole),
        };
        let length = 1 + random((whole - offset).min(longest));
        let bytes = pattern_bytes(round, length as usize);
        plain.mapping().write_bytes(0, &bytes);
        let into = copy((plain.window(), 0), (window, offset), length as u32);
        succeed(&mut queue, into);
        pieces.written(offset, &bytes);

        let offset = random(whole);
        let length = 1 + random(whole - offset);
        let out = copy((window, offset), (plain.window(), 0), length as u32);
        succeed(&mut queue, out);
        let seen = plain.mapping().read_bytes(0, length as usize);
        assert!(seen == pieces.expected(offset, length), "{out:?}");
    }
    pieces.check();
}

#[case]
fn window_has_as_many_parts_as_allowed() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let buffer = device.create_buffer(page_size(), Rights::Read).unwrap();
    let seen = device.create_buffer(page_size(), Rights::Write).unwrap();
    buffer
        .mapping()
        .write_bytes(0, &pattern_bytes(1, page_size()));
    let last = u64::from(MAX_PARTS) - 1;
    let backwards = |count| (0..count).map(|at| buffer.part(last - at % 64..last - at % 64 + 1));

    let parts: Vec<_> = backwards(last + 1).collect();
    let window = device.open_window(&parts, Rights::Read).unwrap();
    let out = copy((window.number(), 0), (seen.window(), 0), MAX_PARTS);
    succeed(&mut queue, out);
    let mut expected = pattern_bytes(1, MAX_PARTS as usize);
    expected.reverse();
    assert_eq!(seen.mapping().read_bytes(0, MAX_PARTS as usize), expected);

    let parts: Vec<_> = backwards(last + 2).collect();
    refused(device.open_window(&parts, Rights::Read), Errno::INVAL);
    refused(device.open_window(&[], Rights::Read), Errno::INVAL);
}

#[case]
fn window_on_device_memory_shows_its_part_alone() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    for part in DEVICE_PARTS {
        let memory = device
            .create_device_memory(part, 2 * page_size(), Rights::ReadWrite)
            .unwrap();
        memory
            .mapping()
            .write_bytes(0, &vec![UNTOUCHED; 2 * page_size()]);
        let window = device
            .open_window(&[memory.part(4001..4302)], Rights::Write)
            .unwrap();

        succeed(&mut queue, fill(window.number(), 0, 301));
        ends_with(
            &mut queue,
            fill(window.number(), 1, 301),
            Status::OUT_OF_BOUNDS,
        );

        let mut expected = vec![UNTOUCHED; 2 * page_size()];
        expected[4001..4302].fill(0xff);
        let seen = memory.mapping().read_bytes(0, 2 * page_size());
        expect_bytes(format_args!("{part:?}"), &seen, &expected);
    }
}

#[case]
fn window_has_its_own_rights_not_those_of_its_buffer() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let buffer = device
        .create_buffer(page_size(), Rights::ReadWrite)
        .unwrap();
    let all = [buffer.part(0..page_size() as u64)];
    let reading = device.open_window(&all, Rights::Read).unwrap().number();
    let writing = device.open_window(&all, Rights::Write).unwrap().number();

    let into_reading = copy((writing, 0), (reading, 0), 8);
    ends_with(&mut queue, into_reading, Status::NOT_READABLE);
    ends_with(&mut queue, fill(reading, 0, 8), Status::NOT_WRITABLE);
    succeed(&mut queue, fill(writing, 0, 8));
    succeed(&mut queue, copy((reading, 0), (writing, 8), 8));
    succeed(&mut queue, fill(buffer.window(), 16, 8));

    assert_eq!(buffer.mapping().read_bytes(0, 24), [0xff; 24]);
}

#[case]
fn offset_beyond_all_parts_is_out_of_bounds() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let pieces = Pieces::new(&device);
    let window = pieces.open(&device, Rights::ReadWrite).number();
    let length = pieces.length();
    for (offset, bytes) in [
        (length, 1),
        (length - 7, 8),
        (0, length as u32 + 1),
        (u64::MAX, 1),
        (u64::MAX - 6, 8),
        (1 << 63, 8),
    ] {
        ends_with(
            &mut queue,
            fill(window, offset, bytes),
            Status::OUT_OF_BOUNDS,
        );
    }
    pieces.check();
}
