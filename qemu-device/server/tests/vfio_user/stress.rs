// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Sleep and wake-up with real threads and a real server. Pauses have any length around the polling
//! time, kicks come only if the protocol asks for them, and no waiter is forgotten.

use std::fs::File;
use std::hint::spin_loop;
use std::io::Read;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use ringbar_checked_client::Client;
use ringbar_driver_side::descriptors::nop;
use ringbar_driver_side::ring::RingMemory;
use ringbar_driver_side::{blocks, QueueMemory};
use ringbar_mapped::Mapped;
use ringbar_server::options::InterruptKind::Msix;
use ringbar_spec::pattern;
use ringbar_spec::regs::KICK;
use ringbar_spec::ring::slot;
use ringbar_spec::setup::QueueSetup;
use ringbar_spec::wake::{self, Waiter, Word, Words};
use rustix::event::{poll, PollFd, PollFlags, Timespec};

use crate::guest::{Guest, Parts, BASE, BUFFER};

const QUEUES: usize = 4;
/// Entries of each ring.
const ENTRIES: u32 = 16;
/// Guest memory of a queue's rings.
const RINGS: u64 = 0x1000;
/// Time for which the device polls.
const POLL_TIME: Duration = Duration::from_micros(20);
/// Longest time until a completion is there.
const PATIENCE: Timespec = Timespec {
    tv_sec: 60,
    tv_nsec: 0,
};

/// The driver side of a queue, on a thread of its own.
struct Producer<'a> {
    queue: usize,
    client: &'a Mutex<&'a mut Client>,
    memory: QueueMemory<Mapped>,
    event: &'a File,
    tail: u32,
    head: u32,
}

impl Producer<'_> {
    fn rounds(&mut self, rounds: u64) {
        for round in 0..rounds {
            let chance = pattern::word(self.queue as u64, round);
            // The longest pause is several times the polling time.
            pause(Duration::from_nanos(chance % 0x1_0000));
            let batch = 1 + (chance >> 16) as u32 % ENTRIES;
            self.submit(batch);
            // Either waiter, for the first, the last or one between; now and then the thread does
            // not sleep.
            let count = 1 + (chance >> 24) as u32 % batch;
            match (chance >> 32) % 4 {
                0 => {}
                1 => self.sleep_until(Waiter::Driver, count),
                _ => self.sleep_until(Waiter::Process, count),
            }
            self.sleep_until(Waiter::Process, batch);
            self.take(batch);
        }
    }

    fn submit(&mut self, count: u32) {
        for index in (0..count).map(|n| self.tail.wrapping_add(n)) {
            self.memory.put(slot(index, ENTRIES), &nop(index));
        }
        self.tail = self.tail.wrapping_add(count);
        if wake::submit(&self.memory, self.tail) {
            let kick = KICK::INFO.offset_of(self.queue).unwrap();
            let mut client = self.client.lock().unwrap();
            client.region_write(0, kick as u64, &[0; 4]).unwrap();
        }
    }

    /// Sleeps until `count` completions are there.
    fn sleep_until(&self, waiter: Waiter, count: u32) {
        let last = self.head.wrapping_add(count - 1);
        while !wake::passes(last, self.head, wake::arm(&self.memory, waiter, last)) {
            let mut polled = [PollFd::new(self.event, PollFlags::IN)];
            let woken = poll(&mut polled, Some(&PATIENCE)).unwrap();
            assert_eq!(
                woken,
                1,
                "lost wake-up: queue {}, {waiter:?} waits for {last}, tail {}, sleeping {}",
                self.queue,
                self.memory.load(Word::CompletionTail),
                self.memory.load(Word::Sleeping),
            );
            let mut event = self.event;
            event.read_exact(&mut [0; 8]).unwrap();
        }
    }

    fn take(&mut self, count: u32) {
        for index in (0..count).map(|n| self.head.wrapping_add(n)) {
            let completion = self.memory.get(slot(index, ENTRIES));
            assert_eq!(completion.tag, index, "queue {}", self.queue);
        }
        self.head = self.head.wrapping_add(count);
        self.memory.store(Word::CompletionHead, self.head);
    }
}

/// Waits in a loop. A sleep would be too long, and never of the length asked for.
fn pause(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        spin_loop();
    }
}

/// Runs this many rounds, of all queues together.
fn stress(rounds: u64) {
    let mut guest = Guest::connect_with(Msix, |options| {
        options.poll_time = POLL_TIME.as_micros() as u32;
    });
    guest.map_memory();
    guest.connect_interrupts();
    guest.set_bus_master(true);
    let setups: [_; QUEUES] = std::array::from_fn(|queue| QueueSetup {
        queue: queue as u32,
        vector: queue as u32 + 1,
        ..blocks::queue(BASE + BUFFER + queue as u64 * RINGS, ENTRIES)
    });
    for setup in &setups {
        guest.start_with(setup);
    }
    let Parts {
        client,
        shared,
        eventfds,
    } = guest.parts();
    let client = &Mutex::new(client);
    thread::scope(|scope| {
        for setup in &setups {
            let queue = setup.queue as usize;
            let event = &eventfds[queue + 1];
            scope.spawn(move || {
                let mut producer = Producer {
                    queue,
                    client,
                    memory: QueueMemory::new(shared.clone(), setup),
                    event,
                    tail: 0,
                    head: 0,
                };
                producer.rounds(rounds / QUEUES as u64);
            });
        }
    });
    guest.hang_up().unwrap();
}

#[test]
fn no_wake_up_is_lost() {
    stress(20_000);
}

#[test]
#[ignore = "minutes: make soak"]
fn no_wake_up_is_lost_in_a_million_rounds() {
    stress(1_000_000);
}
