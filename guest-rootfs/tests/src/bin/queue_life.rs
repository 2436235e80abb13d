// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Queues that are reset or destroyed while others work, and their remaining pages.

use ringbar_client::{descriptors, Buffer, Device, Error, Mapping, Queue, QueueOffsets, Rights};
use ringbar_spec::ring::{Descriptor, Status};
use ringbar_test_vectors::crc32c;
use ringbar_tests::{
    break_ring, case, copy, expect_bytes, fork, nop, open, page_size, pattern_bytes, run, seed,
    PATIENCE,
};
use ringbar_uapi::ioctl::Wait;
use rustix::io::Errno;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const ENTRIES: u32 = 16;
/// Bytes of a copy that is in flight when its queue is reset or destroyed.
const COPY: usize = 1 << 20;

fn main() -> ExitCode {
    run()
}

/// Returns names and offsets of all regions of a queue.
fn regions(offsets: QueueOffsets) -> [(&'static str, u64); 5] {
    [
        ("submission ring", offsets.submission_ring),
        ("completion ring", offsets.completion_ring),
        ("kick", offsets.kick),
        ("doorbell", offsets.doorbell),
        ("status", offsets.status),
    ]
}

/// Maps the first page of each region of a queue, calls `change`, and touches one of the pages.
/// Returns the signal that ends the process. A child with a file of its own does all this.
fn touch_after(index: usize, change: fn(&Device, u32)) -> (&'static str, Option<i32>) {
    let mut names = regions(QueueOffsets::from(&Default::default())).into_iter();
    let status = fork::run(|| {
        let device = open();
        let queue = device.start_queue(ENTRIES).unwrap();
        let maps = regions(QueueOffsets::from(&queue)).map(|(_, offset)| {
            Mapping::new(device.file().clone(), offset, page_size(), false).unwrap()
        });
        for map in &maps {
            map.read::<u32>(0);
        }
        change(&device, queue.queue);
        maps[index].read::<u32>(0);
        true
    });
    let name = names.nth(index).expect("a queue has five regions").0;
    assert!(
        status.signal().is_some() || status.success(),
        "{name}: {status}"
    );
    (name, status.signal())
}

#[case]
fn pages_of_a_destroyed_queue_raise_sigbus() {
    for index in 0..5 {
        let (name, signal) = touch_after(index, |device, queue| {
            device.destroy_queue(queue).unwrap();
        });
        assert_eq!(signal, Some(fork::SIGBUS), "{name}");
    }
}

#[case]
fn pages_of_a_reset_queue_stay_mapped() {
    for index in 0..5 {
        let (name, signal) = touch_after(index, |device, queue| {
            device.reset_queue(queue).unwrap();
        });
        assert_eq!(signal, None, "{name}");
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, errno: Errno) {
    assert_eq!(result.expect_err("refused").errno(), Some(errno));
}

#[case]
fn calls_on_a_destroyed_queue_are_refused() {
    let device = open();
    let queue = device.start_queue(ENTRIES).unwrap();
    let number = queue.queue;
    device.destroy_queue(number).unwrap();
    let mut wait = Wait {
        queue: number,
        ..Default::default()
    };
    refused(device.wait(&mut wait), Errno::NXIO);
    refused(device.reset_queue(number), Errno::NXIO);
    refused(device.destroy_queue(number), Errno::NXIO);
    refused(device.set_event_fd(number, None), Errno::NXIO);
    for (name, offset) in regions(QueueOffsets::from(&queue)) {
        let mapped = Mapping::new(device.file().clone(), offset, page_size(), false);
        let errno = mapped.expect_err(name).errno();
        assert_eq!(errno, Some(Errno::PERM), "{name}");
    }
}

#[case]
fn number_of_a_destroyed_queue_can_be_reused() {
    let device = open();
    for tag in 0..200 {
        let mut queue = device.create_queue(ENTRIES).unwrap();
        queue.push(nop(tag)).unwrap();
        assert_eq!(queue.run(PATIENCE).unwrap().tag, tag);
        queue.close().unwrap();
    }
}

#[case]
fn pages_of_a_queue_show_nothing_of_its_last_owner() {
    let device = open();
    let beside_the_tail = |offsets: QueueOffsets| {
        let page =
            |offset| Mapping::new(device.file().clone(), offset, page_size(), false).unwrap();
        let doorbell: [u64; 8] = page(offsets.doorbell).read_words(0);
        let status: [u64; 8] = page(offsets.status).read_words(0);
        (doorbell, status)
    };
    let mut queue = device.create_queue(ENTRIES).unwrap();
    queue.push(nop(0x5ec7e7)).unwrap();
    queue.run(PATIENCE).unwrap();
    let (doorbell, status) = beside_the_tail(queue.offsets());
    let number = queue.number();
    assert_ne!(doorbell[1..], [0; 7], "the descriptor");
    assert_ne!(status[1..], [0; 7], "its completion");
    queue.close().unwrap();

    let next = device.start_queue(ENTRIES).unwrap();

    assert_eq!(next.queue, number);
    assert_eq!(beside_the_tail((&next).into()), ([0; 8], [0; 8]));
}

/// Returns a copy between two large buffers, and the buffers.
fn large_copy(device: &Device) -> (Descriptor, [Buffer; 2]) {
    let buffers = [Rights::Read, Rights::Write]
        .map(|rights| device.create_buffer(COPY, rights).expect("a large buffer"));
    (copy(&buffers[0], &buffers[1], COPY), buffers)
}

#[case]
fn reset_forgets_descriptors_in_flight() {
    let device = open();
    let (copy, _buffers) = large_copy(&device);
    let mut queue = device.create_queue(ENTRIES).unwrap();
    for round in 0..20 {
        for _ in 0..round % ENTRIES {
            queue.push(copy).unwrap();
        }
        queue.submit();
        queue.push(nop(1)).unwrap();
        queue.reset().unwrap();
        assert_eq!(queue.in_flight(), 0);
        assert!(queue.pop().unwrap().is_none());
        queue.push(nop(round)).unwrap();
        assert_eq!(queue.run(PATIENCE).unwrap().tag, round);
    }
}

#[case]
fn reset_restarts_a_stopped_queue() {
    let device = open();
    let mut queue = device.create_queue(ENTRIES).unwrap();
    for tag in 0..3 {
        break_ring(&queue);
        let stopped = queue.wait(1, PATIENCE);
        assert!(matches!(stopped, Err(Error::QueueStopped { .. })));
        queue.reset().unwrap();
        queue.push(nop(tag)).unwrap();
        assert_eq!(queue.run(PATIENCE).unwrap().tag, tag);
    }
}

#[case]
fn waiter_of_a_reset_queue_gets_eio() {
    let device = open();
    let mut queue = device.create_queue(ENTRIES).unwrap();
    let mut wait = Wait {
        queue: queue.number(),
        completion_tail: 1,
        timeout_ms: PATIENCE.as_millis() as u32,
        began: 0,
    };
    let waiter = thread::spawn(move || device.wait(&mut wait));
    // On a busy machine the waiter may come after a reset. It then waits for the next one.
    while !waiter.is_finished() {
        thread::sleep(std::time::Duration::from_millis(50));
        queue.reset().unwrap();
    }
    refused(waiter.join().unwrap(), Errno::IO);
}

#[case]
fn resets_do_not_disturb_other_queues() {
    disturb(|_, mut queue| {
        queue.reset().unwrap();
        queue
    });
}

#[case]
fn destroys_do_not_disturb_other_queues() {
    disturb(|device, queue| {
        queue.close().unwrap();
        device.create_queue(ENTRIES).unwrap()
    });
}

/// Calls `end` on a busy queue again and again. Meanwhile two other queues of the same file and one
/// of another file move bytes and check them. `end` returns the queue for the next round.
fn disturb(end: fn(&Device, Queue) -> Queue) {
    let done = &AtomicBool::new(false);
    let (device, other) = (&open(), &open());
    thread::scope(|scope| {
        let workers = [device, device, other].map(|device| {
            scope.spawn(move || {
                let mut rounds = 0;
                let mut worker = Worker::new(device);
                while !done.load(Ordering::Relaxed) || rounds < 20 {
                    worker.work(rounds);
                    rounds += 1;
                }
                println!("# {rounds} rounds");
            })
        });
        let (copy, _buffers) = large_copy(device);
        let mut queue = device.create_queue(ENTRIES).unwrap();
        for _ in 0..100 {
            (0..ENTRIES).for_each(|_| queue.push(copy).unwrap());
            queue.submit();
            queue = end(device, queue);
        }
        done.store(true, Ordering::Relaxed);
        let ends = workers.map(|worker| worker.join().is_ok());
        assert_eq!(ends, [true; 3], "a worker was disturbed");
    });
}

/// Copies bytes between buffers and checks that they arrive.
struct Worker {
    queue: Queue,
    source: Buffer,
    target: Buffer,
    bytes: Vec<u8>,
    sum: u32,
}

impl Worker {
    const SIZE: usize = 70_001;

    fn new(device: &Device) -> Self {
        let source = device.create_buffer(Self::SIZE, Rights::Read).unwrap();
        let bytes = pattern_bytes(seed(), Self::SIZE);
        source.mapping().write_bytes(0, &bytes);
        Self {
            queue: device.create_queue(4).unwrap(),
            target: device.create_buffer(Self::SIZE, Rights::ReadWrite).unwrap(),
            sum: crc32c(0, &bytes),
            source,
            bytes,
        }
    }

    fn work(&mut self, round: u32) {
        let clear = descriptors::fill(
            0,
            round.into(),
            (self.target.window(), 0),
            Self::SIZE as u32,
        );
        let sum = descriptors::crc32c(0, 0, (self.target.window(), 0), Self::SIZE as u32);
        for descriptor in [clear, copy(&self.source, &self.target, Self::SIZE), sum] {
            self.queue.push(descriptor).unwrap();
        }
        self.queue.submit();
        self.queue.wait(3, PATIENCE).unwrap();
        let done = [(); 3].map(|()| self.queue.pop().unwrap().expect("three were posted"));
        assert_eq!(done.map(|done| Status(done.status)), [Status::OK; 3]);
        assert_eq!(done[2].result, self.sum.into());
        let seen = self.target.mapping().read_bytes(0, Self::SIZE);
        expect_bytes("the target", &seen, &self.bytes);
    }
}
