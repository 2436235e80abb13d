// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Random words in the pages of the process's own queue, and tries to map pages of other processes.

use crate::victim::Victim;
use fastrand::Rng;
use ringbar_client::{Device, Mapping, Queue};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::layout::MAX_QUEUES;
use ringbar_spec::pages::QUEUE_RUNNING;
use ringbar_spec::ring::{Descriptor, Opcode, Status};
use ringbar_spec::wake::Word;
use ringbar_tests::{case, nop, open, page_size, parameter, succeed, witness, PATIENCE};
use ringbar_uapi::mmap;
use rustix::io::Errno;

/// Number of times that the queue is broken and reset.
const ROUNDS: u32 = 300;
/// Words written per round.
const WRITES: u32 = 20;
const ENTRIES: u32 = 16;

/// Another process has the queues on both sides. If a page of the kernel showed more than one page of
/// BAR 0, words of one of them would be in the own mapping.
#[case]
fn own_doorbell_page_reaches_no_other_queue() {
    witness::claim("touches reserved");
    let (device, other) = (open(), open());
    let create = |device: &Device| device.create_queue(ENTRIES).expect("a queue is free");
    let (mut before, own, mut behind) = (create(&other), create(&device), create(&other));
    let numbers = [&before, &own, &behind].map(Queue::number);
    assert!(numbers.is_sorted(), "not neighbours: {numbers:?}");
    let page = |offset, writable| {
        let mapped = Mapping::new(device.file().clone(), offset, page_size(), writable);
        mapped.expect("the page can be mapped again")
    };
    let doorbell = page(own.offsets().doorbell, true);
    let status = page(own.offsets().status, false);
    let behind_the_fields = Word::DriverInterruptAt.in_page() + size_of::<u32>();
    let rest = || (behind_the_fields..page_size()).step_by(size_of::<u32>());
    // The device clears its words alone, so an earlier owner's may still be there.
    let words = || -> Vec<[u32; 2]> {
        let read = |place| [&doorbell, &status].map(|page| page.read(place));
        rest().map(read).collect()
    };

    let seen = words();
    for queue in [&mut before, &mut behind] {
        succeed(queue, nop(1));
    }
    assert!(
        words() == seen,
        "another queue's words are in the own pages"
    );
    rest().for_each(|place| doorbell.write(place, u32::MAX));
    for queue in [&mut before, &mut behind] {
        succeed(queue, nop(2));
    }
    // Later versions of the device may give these words a meaning.
    rest().for_each(|place| doorbell.write(place, 0_u32));
}

#[case]
fn random_indices_stop_their_own_queue_alone() {
    witness::claim("touches reserved");
    let seed = parameter::seed();
    let victim = Victim::start(seed);
    let mut random = Rng::with_seed(seed);
    let device = open();
    let mut queue = device.create_queue(ENTRIES).expect("a queue is free");
    let page = |offset| Mapping::new(device.file().clone(), offset, page_size(), true);
    let doorbell = page(queue.offsets().doorbell).expect("the page can be mapped again");
    let kick = page(queue.offsets().kick).expect("the page can be mapped again");
    let mut stopped = 0;
    for _ in 0..ROUNDS {
        for _ in 0..WRITES {
            let tail = queue.word(Word::CompletionTail);
            // Any word of the page, but words with a meaning more often.
            let places = [0, 0x40, 0x80, 0x84, random.usize(..page_size() / 4) * 4];
            let edges = [
                tail,
                tail.wrapping_add(ENTRIES),
                0,
                u32::MAX,
                1 << 31,
                random.u32(..),
            ];
            let value = edges[random.usize(..edges.len())]
                .wrapping_add(random.u32(0..3))
                .wrapping_sub(1);
            doorbell.write(places[random.usize(..places.len())], value);
            if random.u8(0..4) == 0 {
                kick.write(0, value);
            }
        }
        let state = queue.word(Word::QueueState);
        if state != QUEUE_RUNNING {
            let codes = [ErrorCode::BAD_TAIL, ErrorCode::BAD_HEAD].map(|code| u32::from(code.0));
            assert!(codes.contains(&state), "queue state {state}");
            stopped += 1;
        }
        queue.reset().expect("a queue can be reset");
        let nop = Descriptor {
            opcode: Opcode::NOP.0,
            tag: random.u32(..),
            ..Descriptor::default()
        };
        queue.push(nop).expect("there is room");
        let completion = queue.run(PATIENCE).expect("the queue works again");
        assert_eq!(
            (completion.tag, Status(completion.status)),
            (nop.tag, Status::OK)
        );
    }
    println!("# stopped {stopped} times");
    assert_ne!(stopped, 0);
    victim.assert_untouched();
}

#[case]
fn pages_of_other_processes_cannot_be_mapped() {
    let victim = Victim::start(parameter::seed());
    let device = open();
    let queue = device.create_queue(ENTRIES).expect("a queue is free");
    let kinds = [
        mmap::KIND_SUBMISSION_RING,
        mmap::KIND_COMPLETION_RING,
        mmap::KIND_KICK,
        mmap::KIND_DOORBELL,
        mmap::KIND_STATUS,
    ];
    let queues = device.info().expect("the device is there").queues;
    let others = (0..MAX_QUEUES as u32).filter(|number| *number != queue.number());
    for (number, kind) in others.flat_map(|number| kinds.map(|kind| (number, kind))) {
        let offset = mmap::encode(kind, number as u16);
        let refused = Mapping::new(device.file().clone(), offset, page_size(), false);
        let errno = refused.expect_err("the queue is another file's").errno();
        let expected = if number < queues {
            Errno::PERM
        } else {
            Errno::NXIO
        };
        assert_eq!(errno, Some(expected), "queue {number}, kind {kind}");
    }
    assert!(victim.queue() < queues);
    for window in victim.windows() {
        for kind in [
            mmap::KIND_BUFFER,
            mmap::KIND_DEVICE_MEMORY,
            mmap::KIND_LAZY_DEVICE_MEMORY,
        ] {
            let offset = mmap::encode(kind, *window);
            let refused = Mapping::new(device.file().clone(), offset, page_size(), false);
            let errno = refused.expect_err("the window is another file's").errno();
            assert_eq!(errno, Some(Errno::PERM), "window {window}, kind {kind}");
        }
    }
    victim.assert_untouched();
}
