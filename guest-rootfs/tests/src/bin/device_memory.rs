// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Device memory from both sides: the device reads the bytes that the process wrote, and the
//! process reads the bytes that the device wrote.

use ringbar_client::{descriptors, DeviceMemory, Error, Mapping, Part, Rights};
use ringbar_tests::{case, open, page_size, pattern_bytes, run, seed, succeed};
use ringbar_uapi::mmap;
use rustix::io::Errno;
use std::process::ExitCode;

fn main() -> ExitCode {
    run()
}

#[case]
fn mapping_keeps_writes_of_every_width() {
    let device = open();
    let memory = device
        .create_device_memory(Part::Uncached, page_size(), Rights::ReadWrite)
        .unwrap();
    let mapping = memory.mapping();
    mapping.write(0, 0x0123_4567_89ab_cdefu64);
    mapping.write(8, 0x1234_5678u32);
    mapping.write(12, 0x9abcu16);
    mapping.write(14, 0xdeu8);
    assert_eq!(mapping.read::<u64>(0), 0x0123_4567_89ab_cdef);
    assert_eq!(mapping.read::<u64>(8), 0x00de_9abc_1234_5678);
}

#[case]
fn device_reads_process_writes_in_uncached_memory() {
    device_reads(Part::Uncached);
}

#[case]
fn device_reads_process_writes_in_write_combining_memory() {
    device_reads(Part::WriteCombining);
}

fn device_reads(part: Part) {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let memory = device
        .create_device_memory(part, page_size(), Rights::Read)
        .unwrap();
    let buffer = device.create_buffer(page_size(), Rights::Write).unwrap();
    let bytes = pattern_bytes(seed(), page_size());
    memory.mapping().write_bytes(0, &bytes);

    succeed(
        &mut queue,
        descriptors::copy(
            0,
            (memory.window(), 0),
            (buffer.window(), 0),
            page_size() as u32,
        ),
    );

    assert_eq!(buffer.mapping().read_bytes(0, page_size()), bytes);
}

#[case]
fn process_sees_device_writes_in_uncached_memory() {
    process_sees(Part::Uncached);
}

#[case]
fn process_sees_device_writes_in_write_combining_memory() {
    process_sees(Part::WriteCombining);
}

fn process_sees(part: Part) {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let memory = device
        .create_device_memory(part, page_size(), Rights::Write)
        .unwrap();
    memory.mapping().write_bytes(0, &vec![0xee; page_size()]);
    let seed = seed();

    succeed(
        &mut queue,
        descriptors::pattern(0, seed, (memory.window(), 17), 1001),
    );

    let seen = memory.mapping().read_bytes(0, page_size());
    let written = pattern_bytes(seed, 1001);
    assert_eq!(seen[..17], [0xee; 17]);
    assert_eq!(seen[17..1018], written);
    assert_eq!(seen[1018..], vec![0xee; page_size() - 1018]);
}

#[case]
fn two_ranges_do_not_overlap() {
    let device = open();
    let first = device
        .create_device_memory(Part::Uncached, page_size(), Rights::Read)
        .unwrap();
    let second = device
        .create_device_memory(Part::Uncached, page_size(), Rights::Read)
        .unwrap();
    first.mapping().write_bytes(0, &vec![1; page_size()]);
    second.mapping().write_bytes(0, &vec![2; page_size()]);
    assert_eq!(
        first.mapping().read_bytes(0, page_size()),
        vec![1; page_size()]
    );
    assert_eq!(
        second.mapping().read_bytes(0, page_size()),
        vec![2; page_size()]
    );
}

#[case]
fn range_larger_than_its_part_is_refused() {
    let device = open();
    let size = device.info().unwrap().device_memory_size as usize;
    let refused = device.create_device_memory(Part::WriteCombining, size, Rights::Read);
    assert_eq!(refused.unwrap_err().errno(), Some(Errno::NOSPC));
}

/// The two kinds have different hooks: one fills pages in at once, one when they are touched.
#[case]
fn range_is_mapped_by_the_kind_of_its_part_alone() {
    let device = open();
    let range = |part| {
        let range = device.create_device_memory(part, page_size(), Rights::Read);
        range.expect("device memory is free")
    };
    let (uncached, lazy) = (range(Part::Uncached), range(Part::Lazy));
    let map = |kind, range: &DeviceMemory| {
        let offset = mmap::encode(kind, range.window());
        Mapping::new(device.file().clone(), offset, page_size(), true)
    };
    let refused = |mapping: Result<Mapping, Error>| mapping.expect_err("a refusal").errno();

    let lazy_at_once = map(mmap::KIND_DEVICE_MEMORY, &lazy);
    let uncached_on_touch = map(mmap::KIND_LAZY_DEVICE_MEMORY, &uncached);

    assert_eq!(refused(lazy_at_once), Some(Errno::PERM));
    assert_eq!(refused(uncached_on_touch), Some(Errno::PERM));
    map(mmap::KIND_LAZY_DEVICE_MEMORY, &lazy).expect("its own kind");
    map(mmap::KIND_DEVICE_MEMORY, &uncached).expect("its own kind");
}
