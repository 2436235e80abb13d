// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Rings in the process's own mapping: order, wrap-around, batches, and several queues at once.

use ringbar_client::{descriptors, Device, Mapping, Queue, Rights};
use ringbar_spec::pages::{DoorbellPage, StatusPage, INLINE_WORDS};
use ringbar_spec::pattern;
use ringbar_spec::ring::{distance, Completion, Descriptor, Status, MAX_ENTRIES};
use ringbar_spec::wake::Word;
use ringbar_test_vectors::crc32c;
use ringbar_tests::witness::on_mapped_ring;
use ringbar_tests::{
    case, copy, fork, nop, open, page_size, pattern_bytes, run, seed, until, PATIENCE,
};
use std::mem::offset_of;
use std::process::ExitCode;
use std::thread;

/// Queues in use at once.
const QUEUES: u64 = 4;
/// Rounds per queue.
const ROUNDS: u64 = 200;
/// Bytes per buffer.
const SIZE: usize = 8192;

fn main() -> ExitCode {
    run()
}

/// Takes a completion without waiting in a call.
fn take(queue: &mut Queue) -> Completion {
    let mut taken = None;
    for _ in 0..10_000 {
        taken = queue.pop().unwrap();
        if taken.is_some() {
            break;
        }
    }
    until("a completion", || {
        if taken.is_none() {
            taken = queue.pop().unwrap();
        }
        taken.is_some()
    });
    taken.expect("there is one")
}

#[case]
fn completions_come_in_order_with_their_tags() {
    let mut queue = open().create_queue(8).unwrap();
    (100..108).for_each(|tag| queue.push(nop(tag)).unwrap());
    queue.submit();
    queue.wait(8, PATIENCE).unwrap();
    let tags: Vec<u32> = std::iter::from_fn(|| queue.pop().unwrap())
        .map(|done| done.tag)
        .collect();
    assert_eq!(tags, (100..108).collect::<Vec<_>>());
}

#[case]
fn rings_wrap_around() {
    let mut queue = open().create_queue(4).unwrap();
    for tag in 0..100 {
        queue.push(nop(tag)).unwrap();
        let completion = queue.run(PATIENCE).unwrap();
        assert_eq!(
            (completion.tag, Status(completion.status)),
            (tag, Status::OK)
        );
    }
}

#[case]
fn full_ring_completes_as_a_batch() {
    let device = open();
    let entries = device.info().unwrap().max_entries;
    let mut queue = device.create_queue(entries).unwrap();
    for round in 0..3 {
        (0..entries).for_each(|tag| queue.push(nop(round * entries + tag)).unwrap());
        assert!(queue.push(nop(0)).is_err(), "the ring is full");
        queue.submit();
        queue.wait(entries, PATIENCE).unwrap();
        let taken = std::iter::from_fn(|| queue.pop().unwrap()).count();
        assert_eq!(taken, entries as usize);
    }
}

#[case]
fn never_empty_ring_completes_in_order() {
    const COUNT: u32 = 50_000;
    let mut queue = open().create_queue(8).unwrap();
    let mut taken = 0;
    // A device that is slow to find work may fall asleep before each descriptor.
    on_mapped_ring(COUNT, COUNT, || {
        for tag in 0..COUNT {
            if queue.in_flight() == queue.entries() {
                assert_eq!(take(&mut queue).tag, taken);
                taken += 1;
            }
            queue.push(nop(tag)).unwrap();
            queue.submit();
        }
        while queue.in_flight() > 0 {
            assert_eq!(take(&mut queue).tag, taken);
            taken += 1;
        }
    });
    assert_eq!(taken, COUNT);
}

#[case]
fn ten_thousand_operations_trap_for_three_kicks_at_most() {
    let mut queue = open().create_queue(MAX_ENTRIES).unwrap();
    on_mapped_ring(10_000, 3, || {
        for batch in [MAX_ENTRIES, MAX_ENTRIES, 10_000 - 2 * MAX_ENTRIES] {
            (0..batch).for_each(|tag| queue.push(nop(tag)).unwrap());
            queue.submit();
            (0..batch).for_each(|tag| assert_eq!(take(&mut queue).tag, tag));
        }
    });
}

#[case]
fn completions_are_seen_without_a_call() {
    let mut queue = open().create_queue(4).unwrap();
    for tag in 0..3 {
        queue.push(nop(tag)).unwrap();
        queue.submit();
        assert_eq!(take(&mut queue).tag, tag);
        // The words by which process and device report their progress.
        assert_eq!(queue.word(Word::SubmissionTail), tag + 1);
        assert_eq!(queue.word(Word::CompletionTail), tag + 1);
        assert_eq!(queue.word(Word::CompletionHead), tag + 1);
    }
}

#[case]
fn single_descriptor_and_its_completion_stand_beside_the_tails() {
    let device = open();
    let queue = device.start_queue(4).unwrap();
    let map = |offset, writable| {
        Mapping::new(device.file().clone(), offset, page_size(), writable).expect("a page of ours")
    };
    let (doorbell, status) = (map(queue.doorbell, true), map(queue.status, false));
    let words: [u64; 8] = zerocopy::transmute!(nop(7));
    let refused: [u64; 8] = zerocopy::transmute!(Descriptor {
        opcode: 99,
        ..nop(8)
    });
    map(queue.submission_ring, true).write_words(0, refused);
    let copied: [u64; INLINE_WORDS] = std::array::from_fn(|index| words[index]);
    doorbell.write_words(offset_of!(DoorbellPage, inline_descriptor), copied);
    doorbell.write(offset_of!(DoorbellPage, submission_inline), 1u32);
    doorbell.write(offset_of!(DoorbellPage, submission_tail), 1u32);

    map(queue.kick, true).write(0, 1u32);

    until("a completion", || {
        status.read::<u32>(offset_of!(StatusPage, completion_tail)) == 1
    });
    let beside: [u64; 2] = status.read_words(offset_of!(StatusPage, inline_completion));
    let in_ring: [u64; 2] = map(queue.completion_ring, false).read_words(0);
    let completion: Completion = zerocopy::transmute!(beside);
    assert_eq!((completion.tag, Status(completion.status)), (7, Status::OK));
    assert_eq!(beside, in_ring);
}

#[case]
fn queue_restarts_for_the_next_file() {
    let mut queue = open().create_queue(8).unwrap();
    (0..5).for_each(|tag| queue.push(nop(tag)).unwrap());
    queue.submit();
    queue.wait(5, PATIENCE).unwrap();
    drop(queue);
    let mut queue = open().create_queue(2).unwrap();
    queue.push(nop(77)).unwrap();
    assert_eq!(queue.run(PATIENCE).unwrap().tag, 77);
}

#[case]
fn queues_of_several_processes_do_not_mix() {
    let seed = seed();
    let work = |number| {
        fork::start(move || {
            move_patterns(&open(), seed ^ number);
            true
        })
    };
    let children: Vec<_> = (0..QUEUES).map(work).collect();
    for child in children {
        let status = child.end();
        assert!(status.success(), "{status}");
    }
}

#[case]
fn queues_of_several_threads_do_not_mix() {
    let device = &open();
    let seed = seed();
    thread::scope(|scope| {
        for number in 0..QUEUES {
            scope.spawn(move || move_patterns(device, seed ^ number));
        }
    });
}

/// Makes, copies and checks patterns on a queue of its own, with several descriptors in flight.
fn move_patterns(device: &Device, seed: u64) {
    let mut queue = device.create_queue(8).unwrap();
    let source = device.create_buffer(SIZE, Rights::ReadWrite).unwrap();
    let target = device.create_buffer(SIZE, Rights::ReadWrite).unwrap();
    for round in 0..ROUNDS {
        let seed = pattern::word(seed, round);
        let length = 1 + (seed % SIZE as u64) as usize;
        let make = descriptors::pattern(0, seed, (source.window(), 0), length as u32);
        let sum = descriptors::crc32c(0, 0, (target.window(), 0), length as u32);
        for descriptor in [make, copy(&source, &target, length), sum] {
            queue.push(descriptor).unwrap();
        }
        queue.submit();
        if round % 2 == 0 {
            queue.wait(3, PATIENCE).unwrap();
        }
        let done = [(); 3].map(|()| take(&mut queue));
        let statuses = done.map(|completion| Status(completion.status));
        assert_eq!(statuses, [Status::OK; 3], "round {round}");
        let bytes = target.mapping().read_bytes(0, length);
        assert!(bytes == pattern_bytes(seed, length), "round {round}");
        assert_eq!(done[2].result, crc32c(0, &bytes).into(), "round {round}");
    }
    assert_eq!(
        distance(queue.word(Word::CompletionHead), 3 * ROUNDS as u32),
        0
    );
}
