// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Queues with rings in the kernel: results of batches, transfers, and refused mappings.

use ringbar_client::{descriptors, Error, Mapping, Rights};
use ringbar_spec::layout::MAX_QUEUES;
use ringbar_spec::ring::{Completion, Status};
use ringbar_tests::debugfs::RINGBAR;
use ringbar_tests::{
    bounces, case, copy, expect_bytes, nop, open, page_size, pattern_bytes, run, seed, PciFunction,
    PATIENCE,
};
use ringbar_uapi::mmap;
use rustix::io::Errno;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

const ENTRIES: u32 = 8;

fn main() -> ExitCode {
    run()
}

#[case]
fn batch_larger_than_the_ring_completes_in_order() {
    let mut queue = open().create_kernel_queue(ENTRIES).unwrap();
    for count in [1, ENTRIES, ENTRIES + 1, 1000] {
        let batch: Vec<_> = (0..count).map(nop).collect();
        let mut completions = vec![Completion::default(); batch.len()];
        let done = queue.execute(&batch, &mut completions, PATIENCE).unwrap();
        assert_eq!(done, batch.len());
        let tags = completions.iter().map(|completion| completion.tag);
        assert!(tags.eq(0..count), "batch of {count}");
    }
}

#[case]
fn empty_batch_completes() {
    let mut queue = open().create_kernel_queue(ENTRIES).unwrap();
    assert_eq!(queue.execute(&[], &mut [], PATIENCE).unwrap(), 0);
}

#[case]
fn device_carries_out_the_batch() {
    let device = open();
    let mut queue = device.create_kernel_queue(ENTRIES).unwrap();
    let source = device
        .create_buffer(page_size(), Rights::ReadWrite)
        .unwrap();
    let target = device.create_buffer(page_size(), Rights::Write).unwrap();
    let seed = seed();
    let make = descriptors::pattern(0, seed, (source.window(), 0), page_size() as u32);
    let batch = [make, copy(&source, &target, page_size())];
    let mut completions = [Completion::default(); 2];
    queue.execute(&batch, &mut completions, PATIENCE).unwrap();
    assert_eq!(completions.map(|done| Status(done.status)), [Status::OK; 2]);
    let expected = pattern_bytes(seed, page_size());
    assert_eq!(target.mapping().read_bytes(0, page_size()), expected);
}

#[case]
fn error_comes_back_with_its_descriptor_alone() {
    let mut queue = open().create_kernel_queue(ENTRIES).unwrap();
    let mut batch: Vec<_> = (0..20).map(nop).collect();
    batch[3].opcode = 0xffff;
    batch[11].flags = 1;
    let mut completions = vec![Completion::default(); batch.len()];
    queue.execute(&batch, &mut completions, PATIENCE).unwrap();
    for (index, completion) in completions.iter().enumerate() {
        let expected = match index {
            3 => Status::BAD_OPCODE,
            11 => Status::RESERVED_FIELD,
            _ => Status::OK,
        };
        assert_eq!(Status(completion.status), expected, "descriptor {index}");
        assert_eq!(completion.tag, index as u32);
    }
}

#[case]
fn kernel_queue_cannot_be_mapped() {
    let device = open();
    let queue = device.create_kernel_queue(ENTRIES).unwrap();
    assert!((queue.number() as usize) < MAX_QUEUES);
    for kind in [
        mmap::KIND_SUBMISSION_RING,
        mmap::KIND_COMPLETION_RING,
        mmap::KIND_KICK,
        mmap::KIND_DOORBELL,
        mmap::KIND_STATUS,
    ] {
        let offset = mmap::encode(kind, queue.number() as u16);
        let mapped = Mapping::new(device.file().clone(), offset, page_size(), false);
        let errno = mapped.expect_err("refused").errno();
        assert_eq!(errno, Some(Errno::PERM), "kind {kind}");
    }
}

#[case]
fn mapped_queue_executes_nothing() {
    let device = open();
    let queue = device.create_queue(ENTRIES).unwrap();
    let executed = device.execute(
        queue.number(),
        &[nop(1)],
        &mut [Completion::default()],
        PATIENCE,
    );
    assert_eq!(executed.unwrap_err().errno(), Some(Errno::INVAL));
}

#[case]
fn queue_of_another_file_is_refused() {
    let queue = open().create_kernel_queue(ENTRIES).unwrap();
    let executed = open().execute(
        queue.number(),
        &[nop(1)],
        &mut [Completion::default()],
        PATIENCE,
    );
    assert_eq!(executed.unwrap_err().errno(), Some(Errno::NXIO));
}

#[case]
fn queue_works_after_a_reset() {
    let mut queue = open().create_kernel_queue(ENTRIES).unwrap();
    let mut completions = [Completion::default(); 3];
    for round in 0..10 {
        let batch = [0, 1, 2].map(|index| nop(round * 3 + index));
        queue.execute(&batch, &mut completions, PATIENCE).unwrap();
        assert_eq!(
            completions.map(|done| done.tag),
            batch.map(|descriptor| descriptor.tag)
        );
        queue.reset().unwrap();
    }
}

#[case]
fn batch_after_one_that_timed_out_has_its_own_completions() {
    let function = PciFunction::under_test();
    let mut queue = open().create_kernel_queue(ENTRIES).unwrap();
    for round in 0..10 {
        let late = [nop(u32::MAX); ENTRIES as usize];
        let mut completions = [Completion::default(); ENTRIES as usize];
        // The device carries out nothing without bus mastering.
        function.set_bus_master(false);
        let first = queue.execute(&late, &mut completions, Duration::from_millis(1));
        function.set_bus_master(true);
        assert_eq!(first.unwrap_err().errno(), Some(Errno::TIMEDOUT));
        let batch = [nop(round), nop(round + 1)];
        let mut completions = [Completion::default(); 2];
        let second = queue.execute(&batch, &mut completions, PATIENCE);
        assert_eq!(second.unwrap(), 2);
        assert_eq!(completions.map(|done| done.tag), [round, round + 1]);
    }
}

#[case]
fn batches_of_several_queues_run_side_by_side() {
    let device = open();
    std::thread::scope(|scope| {
        for thread in 0..3u32 {
            let mut queue = device.create_kernel_queue(ENTRIES).unwrap();
            scope.spawn(move || {
                for round in 0..50 {
                    let batch: Vec<_> = (0..30).map(|index| nop(thread << 16 | index)).collect();
                    let mut completions = vec![Completion::default(); batch.len()];
                    let done: Result<usize, Error> =
                        queue.execute(&batch, &mut completions, PATIENCE);
                    assert_eq!(done.unwrap(), batch.len(), "round {round}");
                    for (completion, descriptor) in completions.iter().zip(&batch) {
                        assert_eq!(completion.tag, descriptor.tag);
                    }
                }
            });
        }
    });
}

#[case]
fn bytes_are_moved_between_process_and_window() {
    let device = open();
    let mut queue = device.create_kernel_queue(ENTRIES).unwrap();
    let size = 1 << 20;
    let buffer = device.create_buffer(size, Rights::ReadWrite).unwrap();
    let bytes = pattern_bytes(seed(), size);
    let before = in_use();
    // Lengths around the size of a piece, and windows that do not begin at a page.
    for (offset, length) in [(0, 1), (7, 65_535), (8, 65_536), (4093, 65_537), (0, size)] {
        buffer.mapping().write_bytes(0, &vec![0; size]);
        let (window, at) = (buffer.window(), offset as u64);
        let bytes = &bytes[..length];
        queue.write(window, at, bytes, PATIENCE).unwrap();
        let mut expected = vec![0; size];
        expected[offset..offset + length].copy_from_slice(bytes);
        let what = format_args!("{length} in");
        expect_bytes(what, &buffer.mapping().read_bytes(0, size), &expected);

        // Other bytes than the written ones. Otherwise the read might return leftovers of the
        // write.
        let other: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
        buffer.mapping().write_bytes(offset, &other);
        let mut seen = vec![0; length];
        queue.read(window, at, &mut seen, PATIENCE).unwrap();
        expect_bytes(format_args!("{length} out"), &seen, &other);
    }
    if bounces() {
        assert!(in_use() > before);
    }
}

/// Returns the number of used slots in the kernel's memory for bounced DMA.
fn in_use() -> u64 {
    let used = fs::read_to_string("/sys/kernel/debug/swiotlb/io_tlb_used");
    used.map_or(0, |used| used.trim().parse().expect("a number"))
}

#[case]
fn bytes_of_several_queues_are_moved_side_by_side() {
    let device = open();
    std::thread::scope(|scope| {
        for thread in 0..3u64 {
            let mut queue = device.create_kernel_queue(ENTRIES).unwrap();
            let buffer = device
                .create_buffer(50 * page_size(), Rights::ReadWrite)
                .unwrap();
            scope.spawn(move || {
                for round in 0..10 {
                    let bytes = pattern_bytes(thread << 32 | round, 50 * page_size());
                    queue.write(buffer.window(), 0, &bytes, PATIENCE).unwrap();
                    let mut seen = vec![0; bytes.len()];
                    queue.read(buffer.window(), 0, &mut seen, PATIENCE).unwrap();
                    expect_bytes(format_args!("round {round} of {thread}"), &seen, &bytes);
                }
            });
        }
    });
}

#[case]
fn transfer_beyond_the_window_returns_the_moved_bytes() {
    let device = open();
    let mut queue = device.create_kernel_queue(ENTRIES).unwrap();
    let size = (100_usize << 10).next_multiple_of(page_size());
    let buffer = device.create_buffer(size, Rights::ReadWrite).unwrap();
    let bytes = vec![1; size + 1];
    let result = queue.write(buffer.window(), 0, &bytes, PATIENCE);
    let first_piece = 64 << 10;
    match result {
        Err(Error::NotMoved { status, moved }) => {
            assert_eq!((status, moved), (Status::OUT_OF_BOUNDS, first_piece as u64));
        }
        other => panic!("{other:?}"),
    }
    let mut expected = vec![1; first_piece];
    expected.resize(size, 0);
    let seen = buffer.mapping().read_bytes(0, size);
    expect_bytes("the buffer", &seen, &expected);
    let mut seen = [0; 2];
    let result = queue.read(buffer.window(), u64::MAX - 1, &mut seen, PATIENCE);
    assert!(matches!(
        result,
        Err(Error::NotMoved {
            status: Status::OUT_OF_BOUNDS,
            moved: 0
        })
    ));
}

#[case]
fn refused_transfers_move_nothing() {
    let device = open();
    let mut queue = device.create_kernel_queue(ENTRIES).unwrap();
    let readable = device.create_buffer(page_size(), Rights::Read).unwrap();
    let foreign = open();
    let foreign = foreign
        .create_buffer(page_size(), Rights::ReadWrite)
        .unwrap();
    for (window, status) in [
        (readable.window(), Status::NOT_WRITABLE),
        (foreign.window(), Status::BAD_WINDOW),
        (0, Status::BAD_WINDOW),
    ] {
        match queue.write(window, 0, &[1; 8], PATIENCE) {
            Err(Error::NotMoved {
                status: seen,
                moved: 0,
            }) => assert_eq!(seen, status),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(readable.mapping().read::<u64>(0), 0);
    assert_eq!(foreign.mapping().read::<u64>(0), 0);
    queue.write(readable.window(), 0, &[], PATIENCE).unwrap();
}

#[case]
fn transfer_after_one_that_timed_out_moves_its_own_bytes() {
    let function = PciFunction::under_test();
    let device = open();
    let mut queue = device.create_kernel_queue(ENTRIES).unwrap();
    let buffer = device
        .create_buffer(page_size(), Rights::ReadWrite)
        .unwrap();
    // The first transfer makes the kernel's memory and its window, which takes bus mastering.
    queue.write(buffer.window(), 0, &[1], PATIENCE).unwrap();
    for round in 0..10 {
        function.set_bus_master(false);
        let late = queue.write(buffer.window(), 0, &[0xee; 64], Duration::from_millis(1));
        function.set_bus_master(true);
        assert_eq!(late.unwrap_err().errno(), Some(Errno::TIMEDOUT));
        let bytes = [round; 64];
        queue.write(buffer.window(), 0, &bytes, PATIENCE).unwrap();
        assert_eq!(buffer.mapping().read_bytes(0, 64), bytes);
        let mut seen = [0xff; 64];
        queue.read(buffer.window(), 0, &mut seen, PATIENCE).unwrap();
        assert_eq!(seen, bytes);
    }
}

#[case]
fn transfer_memory_is_freed_with_the_queue() {
    let before = (RINGBAR.usage(), in_use());
    let device = open();
    let mut queue = device.create_kernel_queue(ENTRIES).unwrap();
    let buffer = device
        .create_buffer(page_size(), Rights::ReadWrite)
        .unwrap();
    let with_queue = RINGBAR.usage();
    queue.write(buffer.window(), 0, &[1; 64], PATIENCE).unwrap();
    assert_ne!(RINGBAR.usage(), with_queue);
    let with_memory = RINGBAR.usage();
    // The queue uses one memory for all transfers, also after a reset.
    queue.reset().unwrap();
    queue.write(buffer.window(), 0, &[2; 64], PATIENCE).unwrap();
    assert_eq!(RINGBAR.usage(), with_memory);
    queue.close().unwrap();
    buffer.close().unwrap();
    assert_eq!((RINGBAR.usage(), in_use()), before);
}
