// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Driver side of a queue's rings: slots, checks of the device's words, wake-ups.
//!
//! The code is generic over the memory: mapped by a process, or that of the device model in one
//! process with it.

use crate::RingError;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::pages::QUEUE_RUNNING;
use ringbar_spec::ring::{distance, Completion, Descriptor};
use ringbar_spec::wake::{self, Waiter, Word, Words};

/// Memory of a queue. The device or another thread can change all of it at any time.
///
/// Entries of the rings go by numbers modulo 2^32. The memory finds the slot of a number, so that
/// no number can lead out of it.
pub trait RingMemory: Words {
    /// Writes descriptor number `index` to its slot of the submission ring.
    fn put(&self, index: u32, descriptor: &Descriptor);

    /// Reads completion number `index` from its slot of the completion ring.
    fn get(&self, index: u32) -> Completion;

    /// Copies descriptor number `index` from the submission ring beside the submission tail,
    /// without its reserved words. Returns whether these are 0.
    fn put_inline(&self, index: u32) -> bool;

    /// Reads the completion beside the completion tail. Later loads of words are ordered after it.
    fn get_inline(&self) -> Completion;
}

/// Rings of a queue. They start empty.
///
/// Four indices divide the entries. Entries below `head` were taken, those below `posted` are known
/// to be completed, those below `submitted` were submitted, and those below `tail` were written.
/// The indices keep this order, and at most one ring's length lies between the first and the last.
/// That holds whatever the memory contains.
#[derive(Debug)]
pub struct Ring<M> {
    memory: M,
    /// Entries of each ring, a power of two.
    entries: u32,
    /// Generation of the device in which the queue was started.
    generation: u32,
    /// Whether the device knows inline copies.
    inline: bool,
    head: u32,
    posted: u32,
    submitted: u32,
    tail: u32,
    /// Number of entries that are free at least. There may be more, as completions were taken.
    room: u32,
}

impl<M: RingMemory> Ring<M> {
    /// Returns the rings of a queue that was just started, each with `entries`, a power of two.
    /// With `inline`, a single descriptor or completion is also passed beside the tail. That saves
    /// each side one cache line that would move between processors.
    pub fn new(memory: M, entries: u32, inline: bool) -> Self {
        let generation = memory.load(Word::Generation);
        Self {
            memory,
            entries,
            generation,
            inline,
            head: 0,
            posted: 0,
            submitted: 0,
            tail: 0,
            room: 0,
        }
    }

    /// Returns the memory.
    #[inline]
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// Returns the number of entries of each ring.
    #[inline]
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// Returns the number of the completion that is taken next.
    #[inline]
    pub fn head(&self) -> u32 {
        self.head
    }

    /// Returns the number of descriptors that were written and whose completion was not taken.
    #[inline]
    pub fn in_flight(&self) -> u32 {
        distance(self.head, self.tail)
    }

    /// Empties the rings, after the queue was started again.
    pub fn restart(&mut self) {
        self.generation = self.memory.load(Word::Generation);
        (self.head, self.posted, self.submitted, self.tail) = (0, 0, 0, 0);
        self.room = 0;
    }

    /// Writes a descriptor. Fails if the submission ring is full.
    #[inline]
    pub fn push(&mut self, descriptor: &Descriptor) -> Result<(), RingError> {
        if self.room == 0 {
            self.make_room()?;
        }
        self.room -= 1;
        self.memory.put(self.tail, descriptor);
        self.tail = self.tail.wrapping_add(1);
        Ok(())
    }

    /// Counts the free entries again. Fails if there is none.
    // Once for all entries that are free: the head is not looked at for each descriptor.
    #[cold]
    fn make_room(&mut self) -> Result<(), RingError> {
        // The limit counts completions not yet taken, too. Otherwise the completion ring could be
        // full when the device has a completion to write, and the device would have to wait.
        self.room = self.entries.saturating_sub(self.in_flight());
        if self.room == 0 {
            return Err(RingError::Full {
                entries: self.entries,
            });
        }
        Ok(())
    }

    /// Hands the written descriptors to the device. Returns whether it sleeps, and the caller must
    /// kick it.
    #[inline]
    #[must_use = "a device that sleeps sees nothing until it is kicked"]
    pub fn submit(&mut self) -> bool {
        self.submitted = self.tail;
        if self.inline {
            // Only one descriptor is in flight. With more, the device could take the inline copy
            // for another one.
            let single = self.in_flight() == 1 && self.memory.put_inline(self.head);
            self.memory.store(Word::SubmissionInline, single.into());
        }
        // Frees entries of the completion ring first: the device may complete the new descriptors
        // as soon as it sees the tail.
        self.memory.store(Word::CompletionHead, self.head);
        wake::submit(&self.memory, self.tail)
    }

    /// Takes the oldest completion, if there is one.
    #[inline]
    pub fn pop(&mut self) -> Result<Option<Completion>, RingError> {
        let mut beside = None;
        if self.head == self.posted {
            if !self.has(1)? {
                return Ok(None);
            }
            // The inline copy is always the last completion, so it is the oldest only if it is the
            // only one.
            if self.inline && distance(self.head, self.submitted) == 1 {
                beside = self.last_posted();
            }
        }
        let completion = beside.unwrap_or_else(|| self.memory.get(self.head));
        self.head = self.head.wrapping_add(1);
        // The driver reports the file as readable until the head reaches the tail. One store per
        // batch is enough: the device needs the head only for new descriptors, and `submit` stores
        // it.
        if self.head == self.posted {
            self.memory.store(Word::CompletionHead, self.head);
        }
        Ok(Some(completion))
    }

    /// Returns the completion beside the tail, which is the last one to come. Returns `None` if a
    /// reset has cleared that copy; the one in the ring is still valid.
    #[inline]
    fn last_posted(&self) -> Option<Completion> {
        let completion = self.memory.get_inline();
        // After the copy: a reset between both loads would otherwise pass cleared bytes as a
        // completion.
        (self.memory.load(Word::Generation) == self.generation).then_some(completion)
    }

    /// Returns whether `count` completions can be taken. Fails if they will never come.
    #[inline]
    pub fn has(&mut self, count: u32) -> Result<bool, RingError> {
        if self.look(count)? {
            return Ok(true);
        }
        match self.memory.load(Word::QueueState) {
            QUEUE_RUNNING => Ok(false),
            // Look once more: the device posts its last completions before it stores the stopped
            // state. Otherwise those that came after the first look would be lost.
            _ if self.look(count)? => Ok(true),
            state => Err(self.stopped(state)),
        }
    }

    /// Asks for an interrupt when `count` completions can be taken. Returns whether the interrupt
    /// is still to come.
    pub fn arm(&mut self, count: u32) -> Result<bool, RingError> {
        let Some(before) = count.checked_sub(1) else {
            return Ok(false);
        };
        wake::arm(
            &self.memory,
            Waiter::Process,
            self.head.wrapping_add(before),
        );
        Ok(!self.has(count)?)
    }

    /// Reads the completion tail again. Returns whether `count` completions can be taken.
    #[inline]
    fn look(&mut self, count: u32) -> Result<bool, RingError> {
        let announced = self.memory.load(Word::CompletionTail);
        // Second: a reset writes the tail too. Loaded first, the generation could still be the old
        // one while the tail is already the new one.
        let now = self.memory.load(Word::Generation);
        if now != self.generation {
            return Err(RingError::Reset {
                queue: self.generation,
                now,
            });
        }
        // At most the submitted descriptors can be completed. A larger tail would make `pop` return
        // entries that the device never wrote.
        let possible = distance(self.posted, self.submitted);
        if distance(self.posted, announced) > possible {
            return Err(RingError::BadCompletionTail {
                announced,
                submitted: self.submitted,
            });
        }
        self.posted = announced;
        Ok(distance(self.head, self.posted) >= count)
    }

    /// Returns the error for a queue that has stopped.
    fn stopped(&self, state: u32) -> RingError {
        RingError::QueueStopped {
            code: ErrorCode(state as u16),
        }
    }
}

#[cfg(test)]
mod tests;
