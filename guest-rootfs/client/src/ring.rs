// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The driver side of a queue's rings: what goes where, what is believed, who is woken.
//!
//! Generic over the memory, so that it runs against the device model in one process as well.

use crate::Error;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::{QUEUE_RUNNING, QUEUE_STATE};
use ringbar_spec::ring::{distance, slot, Completion, Descriptor};
use ringbar_spec::wake::{self, Waiter, Word, Words};

/// The memory of a queue. All of it can change at any time.
pub(crate) trait Memory: Words {
    /// Writes a descriptor to a slot of the submission ring.
    fn put(&self, slot: u32, descriptor: &Descriptor);

    /// Reads a completion from a slot of the completion ring.
    fn get(&self, slot: u32) -> Completion;

    /// Copies the descriptor in a slot of the submission ring beside the submission tail, without its
    /// reserved words. Says whether these are 0.
    fn put_inline(&self, slot: u32) -> bool;

    /// Reads the completion beside the completion tail. A load of a word that follows comes after it.
    fn get_inline(&self) -> Completion;

    /// Wakes the device.
    fn kick(&self);
}

/// The rings of a queue, empty to begin with.
///
/// From the oldest on, entries have been taken up to `head`, are known to be completed up to
/// `posted`, submitted up to `submitted` and written up to `tail`: in this order, and at most one
/// ring's length from first to last, whatever stands in the memory.
#[derive(Debug)]
pub(crate) struct Ring<M> {
    memory: M,
    /// A power of two.
    entries: u32,
    /// Generation of the device in which the queue was started.
    generation: u32,
    /// The device knows inline copies.
    inline: bool,
    head: u32,
    posted: u32,
    submitted: u32,
    tail: u32,
}

impl<M: Memory> Ring<M> {
    /// The rings of a queue that was just started, each with `entries`, a power of two. A device that
    /// knows `inline` copies is given and gives a single entry beside the tail, which saves each
    /// side the way of a cache line from one processor to the other.
    pub(crate) fn new(memory: M, entries: u32, inline: bool) -> Self {
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
        }
    }

    /// The memory.
    #[inline]
    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }

    /// Entries of each ring.
    #[inline]
    pub(crate) fn entries(&self) -> u32 {
        self.entries
    }

    /// Number of the completion that is taken next.
    pub(crate) fn head(&self) -> u32 {
        self.head
    }

    /// Descriptors that were written and whose completion was not taken.
    #[inline]
    pub(crate) fn in_flight(&self) -> u32 {
        distance(self.head, self.tail)
    }

    /// Begins anew, with a queue that was just started.
    pub(crate) fn restart(&mut self) {
        self.generation = self.memory.load(Word::Generation);
        (self.head, self.posted, self.submitted, self.tail) = (0, 0, 0, 0);
    }

    /// Writes a descriptor.
    #[inline]
    pub(crate) fn push(&mut self, descriptor: &Descriptor) -> Result<(), Error> {
        // Each descriptor in flight has an entry of the completion ring, so the device never has
        // to wait for one.
        if self.in_flight() >= self.entries {
            return Err(Error::Full {
                entries: self.entries,
            });
        }
        self.memory.put(slot(self.tail, self.entries), descriptor);
        self.tail = self.tail.wrapping_add(1);
        Ok(())
    }

    /// Hands over what was written, and wakes the device if it sleeps.
    #[inline]
    pub(crate) fn submit(&mut self) {
        self.submitted = self.tail;
        if self.inline {
            // The device has no other descriptor, so none that could be the one there.
            let single =
                self.in_flight() == 1 && self.memory.put_inline(slot(self.head, self.entries));
            self.memory.store(Word::SubmissionInline, single.into());
        }
        // Entries of the completion ring for all of it.
        self.memory.store(Word::CompletionHead, self.head);
        if wake::submit(&self.memory, self.tail) {
            self.memory.kick();
        }
    }

    /// Takes the oldest completion, if there is one.
    #[inline]
    pub(crate) fn pop(&mut self) -> Result<Option<Completion>, Error> {
        let mut beside = None;
        if self.head == self.posted {
            if !self.has(1)? {
                return Ok(None);
            }
            if self.inline && distance(self.head, self.submitted) == 1 {
                beside = self.last_posted();
            }
        }
        let completion = beside.unwrap_or_else(|| self.memory.get(slot(self.head, self.entries)));
        self.head = self.head.wrapping_add(1);
        // Whoever polls the file sees it as readable until then.
        if self.head == self.posted {
            self.memory.store(Word::CompletionHead, self.head);
        }
        Ok(Some(completion))
    }

    /// The completion beside the tail, which is the only one that is to come. `None` if a reset has
    /// cleared it: the one in the ring stays.
    #[inline]
    fn last_posted(&self) -> Option<Completion> {
        let completion = self.memory.get_inline();
        (self.memory.load(Word::Generation) == self.generation).then_some(completion)
    }

    /// Whether `count` completions can be taken. An error means that they will never come.
    #[inline]
    pub(crate) fn has(&mut self, count: u32) -> Result<bool, Error> {
        if self.look(count)? {
            return Ok(true);
        }
        match self.memory.load(Word::QueueState) {
            QUEUE_RUNNING => Ok(false),
            // The device announces what it has completed before it says that it has stopped.
            _ if self.look(count)? => Ok(true),
            state => Err(self.stopped(state)),
        }
    }

    /// Asks for an interrupt when `count` completions can be taken. Whether that is still to come.
    pub(crate) fn arm(&mut self, count: u32) -> Result<bool, Error> {
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

    /// Looks at the completion tail anew. Whether `count` completions can be taken.
    #[inline]
    fn look(&mut self, count: u32) -> Result<bool, Error> {
        let announced = self.memory.load(Word::CompletionTail);
        // Looked at second: a tail that a reset has written is none of this queue's.
        let now = self.memory.load(Word::Generation);
        if now != self.generation {
            return Err(Error::Reset {
                queue: self.generation,
                now,
            });
        }
        let possible = distance(self.posted, self.submitted);
        if distance(self.posted, announced) > possible {
            return Err(Error::BadCompletionTail {
                announced,
                submitted: self.submitted,
            });
        }
        self.posted = announced;
        Ok(distance(self.head, self.posted) >= count)
    }

    fn stopped(&self, state: u32) -> Error {
        let state = QUEUE_STATE::from_raw(state).state();
        Error::QueueStopped {
            code: ErrorCode(state as u16),
        }
    }
}

#[cfg(test)]
mod tests;
