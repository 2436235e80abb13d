// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Uses a device without a pause, and checks every byte and every completion.

use crate::{copy, pattern_bytes, seed, until, PATIENCE};
use ringbar_client::{descriptors, Buffer, Device, Error, Queue, Rights};
use ringbar_spec::pattern;
use ringbar_spec::ring::Status;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

const SIZE: usize = 4000;
/// Bytes of a long copy: as many as one descriptor may copy in a small machine.
const LONG: usize = 1 << 20;
/// Long copies in flight at once.
const LONG_COPIES: u32 = 1024;
const QUEUES: usize = 2;
/// Descriptors per round.
const ROUND: u32 = 3;

/// A thread that hammers a device.
#[derive(Debug)]
pub struct Hammer {
    rounds: Arc<AtomicU64>,
    enough: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), Error>>,
}

impl Hammer {
    /// Starts the thread.
    pub fn start(device: Device) -> Self {
        let rounds = Arc::new(AtomicU64::new(0));
        let enough = Arc::new(AtomicBool::new(false));
        let (count, stop) = (Arc::clone(&rounds), Arc::clone(&enough));
        let thread = thread::spawn(move || {
            hammer(&device, || {
                count.fetch_add(1, Ordering::Relaxed);
                !stop.load(Ordering::Relaxed)
            })
        });
        Self {
            rounds,
            enough,
            thread,
        }
    }

    /// Waits for some more rounds, and fails if they do not come.
    #[track_caller]
    pub fn goes_on(&self) {
        let before = self.rounds.load(Ordering::Relaxed);
        until("the other device goes on", || {
            self.rounds.load(Ordering::Relaxed) >= before + 10
        });
    }

    /// Ends the thread, and fails if a byte, a completion or a call was wrong.
    #[track_caller]
    pub fn finish(self) {
        self.enough.store(true, Ordering::Relaxed);
        let ended = self.thread.join().expect("every byte is right");
        ended.expect("every call works");
    }
}

/// Hammers a device until `another_round` returns false or a call fails.
///
/// # Panics
///
/// If a byte or a completion is wrong.
pub fn hammer(device: &Device, mut another_round: impl FnMut() -> bool) -> Result<(), Error> {
    let mut anvils = Vec::new();
    for _ in 0..QUEUES {
        anvils.push(Anvil::new(device)?);
    }
    let seed = seed();
    for round in 0.. {
        for (number, anvil) in (0..).zip(&mut anvils) {
            anvil.strike(pattern::word(seed, round * QUEUES as u64 + number))?;
        }
        for anvil in &mut anvils {
            anvil.examine()?;
        }
        if !another_round() {
            return Ok(());
        }
    }
    Ok(())
}

/// Long copies in flight: DMA that goes on for a while without a kick.
#[derive(Debug)]
pub struct LongCopies {
    queue: Queue,
    source: Buffer,
    destination: Buffer,
}

impl LongCopies {
    /// Makes a queue and buffers for the copies.
    pub fn prepare(device: &Device) -> Result<Self, Error> {
        Ok(Self {
            queue: device.create_queue(LONG_COPIES)?,
            source: device.create_buffer(LONG, Rights::Read)?,
            destination: device.create_buffer(LONG, Rights::Write)?,
        })
    }

    /// Returns the number of bytes of a copy.
    pub fn length(&self) -> usize {
        LONG
    }

    /// Sets the first bytes of the memory that is copied.
    pub fn fill(&mut self, bytes: &[u8]) {
        self.source.mapping().write_bytes(0, bytes);
    }

    /// Starts the copies.
    pub fn start(&mut self) -> Result<(), Error> {
        let copy = copy(&self.source, &self.destination, LONG);
        (0..LONG_COPIES).try_for_each(|_| self.queue.push(copy))?;
        self.queue.submit();
        Ok(())
    }

    /// Waits until the copies have ended.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.queue.wait(LONG_COPIES, PATIENCE)?;
        while self.queue.pop()?.is_some() {}
        Ok(())
    }
}

/// A queue, and the memory that it copies.
struct Anvil {
    queue: Queue,
    source: Buffer,
    destination: Buffer,
    /// Expected bytes of the destination.
    expected: Vec<u8>,
    /// Seed and length of this round's copy.
    round: (u64, usize),
}

impl Anvil {
    fn new(device: &Device) -> Result<Self, Error> {
        Ok(Self {
            queue: device.create_queue(4)?,
            source: device.create_buffer(SIZE, Rights::ReadWrite)?,
            destination: device.create_buffer(SIZE, Rights::ReadWrite)?,
            expected: vec![0; SIZE],
            round: (0, 0),
        })
    }

    /// Has the device make, copy and verify a pattern.
    fn strike(&mut self, seed: u64) -> Result<(), Error> {
        let length = 1 + seed as usize % SIZE;
        self.round = (seed, length);
        self.queue.push(descriptors::pattern(
            0,
            seed,
            (self.source.window(), 0),
            length as u32,
        ))?;
        self.queue
            .push(copy(&self.source, &self.destination, length))?;
        self.queue.push(descriptors::verify(
            0,
            seed,
            (self.destination.window(), 0),
            length as u32,
        ))?;
        self.queue.submit();
        Ok(())
    }

    /// Waits for the round, and compares all bytes of the destination, copied or not.
    fn examine(&mut self) -> Result<(), Error> {
        let (seed, length) = self.round;
        self.queue.wait(ROUND, PATIENCE)?;
        for _ in 0..ROUND {
            let completion = self.queue.pop()?.expect("it was waited for");
            assert_eq!(Status(completion.status), Status::OK, "seed {seed}");
        }
        self.expected[..length].copy_from_slice(&pattern_bytes(seed, length));
        let found = self.destination.mapping().read_bytes(0, SIZE);
        assert!(found == self.expected, "seed {seed}, length {length}");
        Ok(())
    }
}
