// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Descriptors and completions of a turn, on their way between the rings and the work.

use super::{entry_address, Fault, Queue};
use crate::operation::Budget;
use crate::words::QueueWords;
use crate::{Host, Location};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::ring::{distance, slot, Completion, Descriptor};
use zerocopy::IntoBytes;

/// Most descriptors that are fetched at once (data sheet 6).
const BATCH: usize = 16;
/// Most completions of a turn: each costs a unit of the budget.
const COMPLETIONS: usize = Budget::STEP.units() as usize;

/// Descriptors and completions between the rings and the work of a turn.
pub(crate) struct Batch {
    /// Copies from the submission ring. Those from `next` to `end` were not begun.
    descriptors: [Descriptor; BATCH],
    next: usize,
    end: usize,
    /// Completions of this turn. The first `ended` are to be written to the completion ring.
    completions: [Completion; COMPLETIONS],
    ended: usize,
}

impl Batch {
    /// Makes an empty batch.
    pub(crate) fn new() -> Self {
        Self {
            descriptors: [Descriptor::default(); BATCH],
            next: 0,
            end: 0,
            completions: [Completion::default(); COMPLETIONS],
            ended: 0,
        }
    }

    /// Empties the batch for the next turn.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.next = 0;
        self.end = 0;
        self.ended = 0;
    }

    /// Returns the next descriptor, if one was fetched.
    #[inline]
    pub(super) fn next(&mut self) -> Option<&Descriptor> {
        let next = self.next;
        self.next += 1;
        self.descriptors.get(..self.end)?.get(next)
    }

    /// Copies the queue's next descriptors, `limit` at most, once all that were fetched are begun.
    ///
    /// # Errors
    ///
    /// Fails if the next entry of the submission ring cannot be read.
    #[inline]
    pub(super) fn fill<H: Host + ?Sized>(
        &mut self,
        queue: &Queue,
        limit: u32,
        host: &H,
    ) -> Result<(), Fault> {
        if self.next < self.end {
            return Ok(());
        }
        let waiting = distance(queue.done, queue.submitted);
        // A single descriptor may stand beside the tail (data sheet 6), in a cache line that this
        // processor has fetched already. The one in the ring would cost a second transfer.
        if waiting == 1
            && let Some(descriptor) = QueueWords::new(host, queue.number).inline_descriptor()
            && let Some(room) = self.descriptors.first_mut()
        {
            *room = descriptor;
            (self.next, self.end) = (0, 1);
            return Ok(());
        }
        let entries = queue.setup.submission_entries;
        let address = entry_address::<Descriptor>(queue.setup.submission_ring, queue.done, entries);
        // A batch ends at the end of the ring, and with the units that are left: more would be
        // fetched twice.
        let to_ring_end = entries.saturating_sub(slot(queue.done, entries));
        let wanted = (waiting.min(to_ring_end).min(limit) as usize).clamp(1, BATCH);
        // A read fails as a whole. The first entry alone may be readable, and must then be carried
        // out: only the entry that cannot be read stops the queue (data sheet 6).
        for count in [wanted, 1] {
            let Some(room) = self.descriptors.get_mut(..count) else {
                continue;
            };
            if host
                .read(Location::Guest(address), room.as_mut_bytes())
                .is_ok()
            {
                self.next = 0;
                self.end = count;
                return Ok(());
            }
        }
        Err(Fault {
            code: ErrorCode::SUBMISSION_FAULT,
            value: address,
        })
    }

    /// Keeps the completion of a descriptor until the end of the turn.
    #[inline]
    pub(super) fn complete(&mut self, completion: Completion) {
        if let Some(place) = self.completions.get_mut(self.ended) {
            *place = completion;
            self.ended += 1;
        }
    }

    /// Returns the completions of this turn.
    #[inline]
    pub(super) fn completions(&self) -> &[Completion] {
        self.completions.get(..self.ended).unwrap_or_default()
    }
}
