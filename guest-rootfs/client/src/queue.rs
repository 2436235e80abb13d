// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A queue: descriptors in, completions out.

use crate::{Device, Error, Mapping};
use ringbar_spec::ring::{distance, slot, Completion, Descriptor};
use ringbar_uapi::ioctl::{CreateQueue, Submit, Wait};
use std::sync::atomic::{fence, Ordering};
use std::time::Duration;
use zerocopy::{FromBytes, IntoBytes};

/// mmap offsets of a queue's rings and pages, to map them again.
#[derive(Clone, Copy, Debug)]
pub struct QueueOffsets {
    /// The submission ring.
    pub submission_ring: u64,
    /// The completion ring, read-only.
    pub completion_ring: u64,
    /// The kick page.
    pub kick: u64,
    /// The doorbell page.
    pub doorbell: u64,
    /// The status page, read-only.
    pub status: u64,
}

/// A queue of the device, its rings mapped.
///
/// Owns the submission ring from the tail on for one ring's length, and takes completions up to
/// the tail that the driver reports.
#[derive(Debug)]
pub struct Queue {
    device: Device,
    offsets: QueueOffsets,
    number: u32,
    entries: u32,
    submission: Mapping,
    completion: Mapping,
    /// Descriptors ever written.
    tail: u32,
    /// Completions ever taken.
    head: u32,
    /// Completions known to be posted.
    posted: u32,
}

impl Queue {
    pub(crate) fn map(device: Device, create: &CreateQueue) -> Result<Self, Error> {
        let file = device.file();
        let entries = create.entries as usize;
        let submission = device.map(create.submission_ring, entries * size_of::<Descriptor>())?;
        let completion = Mapping::new(
            file.clone(),
            create.completion_ring,
            entries * size_of::<Completion>(),
            false,
        )?;
        Ok(Self {
            device,
            offsets: QueueOffsets {
                submission_ring: create.submission_ring,
                completion_ring: create.completion_ring,
                kick: create.kick,
                doorbell: create.doorbell,
                status: create.status,
            },
            number: create.queue,
            entries: create.entries,
            submission,
            completion,
            tail: 0,
            head: 0,
            posted: 0,
        })
    }

    /// Number of the queue.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Where its rings and pages can be mapped again.
    pub fn offsets(&self) -> QueueOffsets {
        self.offsets
    }

    /// Entries of each ring.
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// Descriptors that were written and whose completion was not taken.
    pub fn in_flight(&self) -> u32 {
        distance(self.head, self.tail)
    }

    /// Writes a descriptor to the ring. The device learns of it with [`Queue::submit`].
    pub fn push(&mut self, descriptor: Descriptor) -> Result<(), Error> {
        // One completion entry stays free for each descriptor, so the device never has to wait.
        if self.in_flight() >= self.entries {
            return Err(Error::Full {
                entries: self.entries,
            });
        }
        let place = slot(self.tail, self.entries) as usize * size_of::<Descriptor>();
        for (index, word) in descriptor.as_bytes().chunks_exact(8).enumerate() {
            let word = u64::from_ne_bytes(word.try_into().expect("chunks of eight bytes"));
            self.submission.write(place + index * 8, word);
        }
        self.tail = self.tail.wrapping_add(1);
        Ok(())
    }

    /// Hands what was pushed to the device.
    pub fn submit(&mut self) -> Result<(), Error> {
        fence(Ordering::Release);
        self.device.submit(Submit {
            queue: self.number,
            submission_tail: self.tail,
            completion_head: self.head,
            reserved: 0,
        })
    }

    /// Waits until `count` completions can be taken.
    pub fn wait(&mut self, count: u32, timeout: Duration) -> Result<(), Error> {
        let mut wait = Wait {
            queue: self.number,
            completion_tail: self.head.wrapping_add(count),
            timeout_ms: timeout.as_millis().try_into().unwrap_or(u32::MAX),
            reserved: 0,
        };
        let waited = self.device.wait(&mut wait);
        fence(Ordering::Acquire);
        if waited.is_ok() {
            self.posted = wait.completion_tail;
        }
        waited
    }

    /// Takes the oldest completion that is known to be there.
    pub fn pop(&mut self) -> Option<Completion> {
        if self.head == self.posted {
            return None;
        }
        let place = slot(self.head, self.entries) as usize * size_of::<Completion>();
        let words: [u64; 2] = [self.completion.read(place), self.completion.read(place + 8)];
        self.head = self.head.wrapping_add(1);
        Some(Completion::read_from_bytes(words.as_bytes()).expect("both are 16 bytes"))
    }

    /// Submits what was pushed, waits for the next completion and takes it.
    pub fn run(&mut self, timeout: Duration) -> Result<Completion, Error> {
        self.submit()?;
        self.wait(1, timeout)?;
        self.pop().ok_or(Error::Missing {
            wanted: self.head.wrapping_add(1),
            posted: self.posted,
        })
    }
}
