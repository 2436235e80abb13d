// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device's checks of memory: comparison with a pattern, and checksums.

use ringbar_client::{Buffer, Device, Queue, Rights};
use ringbar_spec::ring::{Completion, Descriptor, Opcode, Status};
use ringbar_test_vectors::crc32c;
use ringbar_tests::{carry_out, case, open, page_size, pattern_bytes, run, seed};
use std::process::ExitCode;

const SIZE: usize = 300_000;

fn main() -> ExitCode {
    run()
}

fn set_up() -> (Device, Queue, Buffer) {
    let device = open();
    let queue = device.create_queue(4).unwrap();
    let buffer = device.create_buffer(SIZE, Rights::Read).unwrap();
    (device, queue, buffer)
}

/// Has the device check `length` bytes at `offset`. Returns status and result.
fn check(
    queue: &mut Queue,
    opcode: Opcode,
    (buffer, offset, length): (&Buffer, u64, usize),
    operand: u64,
) -> (Status, u64) {
    let completion: Completion = carry_out(
        queue,
        Descriptor {
            opcode: opcode.0,
            length: length as u32,
            source_window: buffer.window(),
            source_offset: offset,
            operand,
            ..Default::default()
        },
    );
    (Status(completion.status), completion.result)
}

#[case]
fn verify_finds_the_pattern() {
    let (_device, mut queue, buffer) = set_up();
    let seed = seed();
    for (offset, length) in [(0, SIZE), (3, 1), (page_size() - 1, 8), (17, 100_001)] {
        let bytes = pattern_bytes(seed, length);
        buffer.mapping().write_bytes(offset, &bytes);
        let place = (&buffer, offset as u64, length);
        let found = check(&mut queue, Opcode::VERIFY, place, seed);
        assert_eq!(found, (Status::OK, length as u64), "{length} at {offset}");
    }
}

#[case]
fn verify_names_the_first_byte_that_differs() {
    let (_device, mut queue, buffer) = set_up();
    let seed = seed();
    buffer.mapping().write_bytes(0, &pattern_bytes(seed, SIZE));
    for index in [SIZE - 1, 65_536, 65_535, 4097, 1, 0] {
        let byte: u8 = buffer.mapping().read(index);
        buffer.mapping().write(index, byte ^ 0x10);
        let found = check(&mut queue, Opcode::VERIFY, (&buffer, 0, SIZE), seed);
        assert_eq!(found, (Status::MISMATCH, index as u64));
    }
}

#[case]
fn checksum_of_the_digits_has_the_known_value() {
    let (_device, mut queue, buffer) = set_up();
    buffer.mapping().write_bytes(5, b"123456789");
    let sum = check(&mut queue, Opcode::CRC32C, (&buffer, 5, 9), 0);
    assert_eq!(sum, (Status::OK, 0xe306_9283));
}

#[case]
fn checksum_equals_that_of_the_process() {
    let (_device, mut queue, buffer) = set_up();
    let bytes = pattern_bytes(seed(), SIZE);
    buffer.mapping().write_bytes(0, &bytes);
    for (offset, length) in [(0, SIZE), (0, 1), (7, 8), (4090, 65_537), (1, SIZE - 1)] {
        let place = (&buffer, offset as u64, length);
        let sum = check(&mut queue, Opcode::CRC32C, place, 0);
        let expected = crc32c(0, &bytes[offset..offset + length]);
        assert_eq!(sum, (Status::OK, expected.into()), "{length} at {offset}");
    }
}

#[case]
fn checksum_goes_on_from_a_checksum() {
    let (_device, mut queue, buffer) = set_up();
    let bytes = pattern_bytes(seed(), SIZE);
    buffer.mapping().write_bytes(0, &bytes);
    let first = check(&mut queue, Opcode::CRC32C, (&buffer, 0, 100_003), 0);
    let place = (&buffer, 100_003, SIZE - 100_003);
    let whole = check(&mut queue, Opcode::CRC32C, place, first.1);
    assert_eq!(whole, (Status::OK, crc32c(0, &bytes).into()));
}

#[case]
fn check_with_a_destination_is_refused() {
    let (_device, mut queue, buffer) = set_up();
    for opcode in [Opcode::VERIFY, Opcode::CRC32C] {
        for (window, offset) in [(buffer.window(), 0), (0, 8)] {
            let descriptor = Descriptor {
                opcode: opcode.0,
                length: 8,
                source_window: buffer.window(),
                destination_window: window,
                destination_offset: offset,
                ..Default::default()
            };
            let status = Status(carry_out(&mut queue, descriptor).status);
            assert_eq!(status, Status::RESERVED_FIELD);
        }
    }
}

#[case]
fn initial_checksum_over_32_bits_is_refused() {
    let (_device, mut queue, buffer) = set_up();
    let refused = check(&mut queue, Opcode::CRC32C, (&buffer, 0, 8), 1 << 32);
    assert_eq!(refused.0, Status::RESERVED_FIELD);
}

#[case]
fn check_of_a_write_window_is_refused() {
    let (device, mut queue, _buffer) = set_up();
    let buffer = device.create_buffer(64, Rights::Write).unwrap();
    for opcode in [Opcode::VERIFY, Opcode::CRC32C] {
        let refused = check(&mut queue, opcode, (&buffer, 0, 8), 0);
        assert_eq!(refused.0, Status::NOT_READABLE);
    }
}
