// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The library's part of an operation, apart from any device, for a profiler:
//!
//!     valgrind --tool=callgrind --toggle-collect='*rings::operations*' PROGRAM COUNT
//!
//! counts the instructions of COUNT operations: batches of 64 are submitted, and their completions
//! taken and checked. A few stores in place of the device complete them at once.

use ringbar_client::{descriptors, page_size, Device, Mapping, Queue};
use ringbar_spec::pages::{StatusPage, QUEUE_RUNNING};
use ringbar_spec::ring::{Completion, Descriptor, Status};
use ringbar_uapi::ioctl::CreateQueue;
use rustix::fs::{ftruncate, memfd_create, MemfdFlags};
use std::fs::File;
use std::mem::offset_of;
use std::sync::Arc;

/// Descriptors per submission.
const BATCH: u32 = 64;
/// Entries of each ring.
const ENTRIES: u32 = 512;
/// Distance between the parts of a queue in the file, more than each of them takes.
const PART: u64 = 1 << 16;

fn main() {
    // `cargo bench` passes `--bench` too.
    let count = std::env::args().skip(1).find_map(|it| it.parse().ok());
    let rounds = count.unwrap_or(1_000_000_u32).div_ceil(BATCH);
    let (mut queue, status) = queue();
    let descriptor = descriptors::copy(0, (1, 0), (2, 0), 64);
    let mut done = 0;
    for _ in 0..rounds {
        done += operations(&mut queue, &status, &descriptor);
    }
    assert_eq!(done, rounds * BATCH);
    println!("{done} operations");
}

/// Submits a batch, has it completed, and takes the completions. Returns their number.
#[inline(never)]
fn operations(queue: &mut Queue, status: &Mapping, descriptor: &Descriptor) -> u32 {
    for _ in 0..BATCH {
        queue.push(*descriptor).expect("room in the ring");
    }
    queue.submit();
    let tail = offset_of!(StatusPage, completion_tail);
    status.write(tail, status.read::<u32>(tail).wrapping_add(BATCH));
    let mut done = 0;
    while let Some(completion) = queue.pop().expect("a queue that runs") {
        assert_eq!(Status(completion.status), Status::OK);
        done += 1;
    }
    done
}

/// Makes a queue whose rings and pages are parts of a file, and maps its status page for the
/// device.
fn queue() -> (Queue, Mapping) {
    let file = memfd_create(c"queue", MemfdFlags::CLOEXEC).expect("a file");
    ftruncate(&file, 5 * PART).expect("its size");
    let file = File::from(file);
    let device = Device::from_file(file.try_clone().expect("a descriptor")).expect("its rights");
    let create = CreateQueue {
        entries: ENTRIES,
        submission_ring: 0,
        completion_ring: PART,
        kick: 2 * PART,
        doorbell: 3 * PART,
        status: 4 * PART,
        ..CreateQueue::default()
    };
    assert!(ENTRIES as u64 * size_of::<Descriptor>() as u64 <= PART);
    assert!(ENTRIES as u64 * size_of::<Completion>() as u64 <= PART);
    let status = Mapping::new(Arc::new(file), create.status, page_size(), true).expect("a mapping");
    status.write(offset_of!(StatusPage, queue_state), QUEUE_RUNNING);
    let queue = Queue::map(&device, &create).expect("mappings");
    (queue, status)
}
