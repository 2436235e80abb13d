// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! DMA into a mapped buffer: the device writes, and the process sees exactly those bytes in its own
//! mapping of the coherent buffer. It makes no copy and no call.

use ringbar_client::{descriptors, Buffer, Rights};
use ringbar_spec::ring::{Descriptor, Status};
use ringbar_tests::{
    case, copy, expect_bytes, open, page_size, pattern_bytes, run, seed, signalled, succeed,
    with_event, PciFunction, PATIENCE, SHORT,
};
use std::process::ExitCode;

const SIZE: usize = 64 * 1024;
/// Bytes of a buffer before the device writes.
const UNTOUCHED: u8 = 0xa5;

fn main() -> ExitCode {
    run()
}

fn marked_buffer(device: &ringbar_client::Device) -> Buffer {
    let buffer = device.create_buffer(SIZE, Rights::ReadWrite).unwrap();
    buffer.mapping().write_bytes(0, &[UNTOUCHED; SIZE]);
    buffer
}

fn pattern_descriptor(buffer: &Buffer, offset: u64, length: u32, seed: u64) -> Descriptor {
    descriptors::pattern(0x5eed, seed, (buffer.window(), offset), length)
}

#[case]
fn device_pattern_is_seen_in_the_mapping() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let buffer = marked_buffer(&device);
    let seed = seed();

    succeed(
        &mut queue,
        pattern_descriptor(&buffer, 0, SIZE as u32, seed),
    );

    assert_eq!(
        buffer.mapping().read_bytes(0, SIZE),
        pattern_bytes(seed, SIZE)
    );
}

#[case]
fn bytes_around_the_pattern_are_untouched() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let buffer = marked_buffer(&device);
    let seed = seed();

    succeed(&mut queue, pattern_descriptor(&buffer, 4093, 8195, seed));

    let seen = buffer.mapping().read_bytes(0, SIZE);
    let (before, rest) = seen.split_at(4093);
    let (written, after) = rest.split_at(8195);
    assert!(before.iter().all(|byte| *byte == UNTOUCHED));
    assert_eq!(written, pattern_bytes(seed, 8195));
    assert!(after.iter().all(|byte| *byte == UNTOUCHED));
}

#[case]
fn another_seed_makes_another_pattern() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let buffer = marked_buffer(&device);
    succeed(&mut queue, pattern_descriptor(&buffer, 0, 64, 1));
    let first = buffer.mapping().read_bytes(0, 64);
    succeed(&mut queue, pattern_descriptor(&buffer, 0, 64, 2));
    assert_ne!(buffer.mapping().read_bytes(0, 64), first);
}

#[case]
fn fill_repeats_its_operand() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let buffer = marked_buffer(&device);

    succeed(
        &mut queue,
        descriptors::fill(
            0,
            u64::from_le_bytes(*b"RINGBAR!"),
            (buffer.window(), 3),
            19,
        ),
    );

    assert_eq!(buffer.mapping().read_bytes(3, 19), b"RINGBAR!RINGBAR!RIN");
    assert_eq!(buffer.mapping().read::<u8>(22), UNTOUCHED);
}

#[case]
fn copy_moves_bytes_between_buffers() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let source = device.create_buffer(SIZE, Rights::Read).unwrap();
    let destination = marked_buffer(&device);
    let bytes = pattern_bytes(seed(), SIZE);
    source.mapping().write_bytes(0, &bytes);

    succeed(
        &mut queue,
        descriptors::copy(0, (source.window(), 11), (destination.window(), 70), 5000),
    );

    let mut expected = vec![UNTOUCHED; SIZE];
    expected[70..5070].copy_from_slice(&bytes[11..5011]);
    let seen = destination.mapping().read_bytes(0, SIZE);
    expect_bytes("the destination", &seen, &expected);
    let seen = source.mapping().read_bytes(0, SIZE);
    expect_bytes("the source", &seen, &bytes);
}

#[case]
fn interrupt_comes_after_the_copied_bytes() {
    let device = open();
    let (mut queue, event) = with_event(&device);
    let source = device.create_buffer(SIZE, Rights::Read).unwrap();
    let destination = marked_buffer(&device);
    let bytes = pattern_bytes(seed(), SIZE);
    source.mapping().write_bytes(0, &bytes);

    queue.push(copy(&source, &destination, SIZE)).unwrap();
    // Armed before the device knows of the descriptor, so that the interrupt comes in any case.
    assert!(queue.arm(1).unwrap());
    queue.submit();
    assert!(signalled(&event, PATIENCE));

    let completion = queue
        .pop()
        .unwrap()
        .expect("the interrupt came after the completion");
    assert_eq!(Status(completion.status), Status::OK);
    assert_eq!(destination.mapping().read_bytes(0, SIZE), bytes);
}

#[case]
fn overlapping_copy_acts_as_memmove() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let buffer = device.create_buffer(SIZE, Rights::ReadWrite).unwrap();
    let mut expected = pattern_bytes(seed(), SIZE);
    buffer.mapping().write_bytes(0, &expected);

    succeed(
        &mut queue,
        descriptors::copy(0, (buffer.window(), 5), (buffer.window(), 1000), 40_000),
    );

    expected.copy_within(5..40_005, 1000);
    assert_eq!(buffer.mapping().read_bytes(0, SIZE), expected);
}

#[case]
fn two_mappings_of_a_buffer_show_the_same() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let buffer = marked_buffer(&device);
    let page = page_size();
    let offset = buffer.offset() + page as u64;
    let second = ringbar_client::Mapping::new(device.file().clone(), offset, page, false);
    let second = second.expect("a part of a buffer can be mapped at its page offset");

    let bytes = pattern_descriptor(&buffer, page as u64, page as u32, 9);
    succeed(&mut queue, bytes);

    assert_eq!(second.read_bytes(0, page), pattern_bytes(9, page));
}

#[case]
fn new_buffer_is_zeroed() {
    let device = open();
    drop(marked_buffer(&device));
    drop(device);
    let device = open();
    let buffer = device.create_buffer(SIZE, Rights::Read).unwrap();
    assert!(buffer
        .mapping()
        .read_bytes(0, SIZE)
        .iter()
        .all(|byte| *byte == 0));
}

#[case]
fn nothing_is_written_while_bus_mastering_is_off() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let buffer = marked_buffer(&device);
    let function = PciFunction::under_test();

    function.set_bus_master(false);
    queue
        .push(pattern_descriptor(&buffer, 0, SIZE as u32, 3))
        .unwrap();
    queue.submit();
    let waited = queue.wait(1, SHORT);
    let seen = buffer.mapping().read_bytes(0, SIZE);
    function.set_bus_master(true);
    let resumed = queue.wait(1, PATIENCE);

    assert_eq!(
        waited.unwrap_err().errno(),
        Some(rustix::io::Errno::TIMEDOUT)
    );
    assert!(seen.iter().all(|byte| *byte == UNTOUCHED));
    resumed.expect("the descriptor completes once bus mastering is on again");
    assert_eq!(buffer.mapping().read_bytes(0, SIZE), pattern_bytes(3, SIZE));
}
