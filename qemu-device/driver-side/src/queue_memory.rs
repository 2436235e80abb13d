// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Words and entries of one queue in shared memory.

use crate::ring::RingMemory;
use crate::{barrier, Shared};
use ringbar_spec::layout::MAX_QUEUES;
use ringbar_spec::pages::{inline_completion, inline_descriptor};
use ringbar_spec::ring::{slot, Completion, Descriptor, INLINE_LENGTH};
use ringbar_spec::setup::QueueSetup;
use ringbar_spec::wake::{Word, Words};
use zerocopy::{FromZeros, IntoBytes};

/// Shared memory of one queue.
#[derive(Clone, Debug)]
pub struct QueueMemory<S> {
    shared: S,
    queue: usize,
    submission_ring: u64,
    submission_entries: u32,
    completion_ring: u64,
    completion_entries: u32,
}

impl<S> QueueMemory<S> {
    /// Returns the memory of the queue that a block describes.
    ///
    /// # Panics
    ///
    /// If the layout has no such queue: the offsets would be those of another queue's pages.
    pub fn new(shared: S, setup: &QueueSetup) -> Self {
        let (queue, last) = (setup.queue, MAX_QUEUES - 1);
        assert!(queue as usize <= last, "queue {queue}, the last is {last}");
        Self {
            shared,
            queue: queue as usize,
            submission_ring: setup.submission_ring,
            submission_entries: setup.submission_entries,
            completion_ring: setup.completion_ring,
            completion_entries: setup.completion_entries,
        }
    }

    /// Returns the shared memory that holds this queue.
    pub fn shared(&self) -> &S {
        &self.shared
    }

    /// Returns the DMA address of descriptor number `index`.
    fn descriptor(&self, index: u32) -> u64 {
        let slot = slot(index, self.submission_entries);
        self.submission_ring + u64::from(slot) * size_of::<Descriptor>() as u64
    }

    /// Returns the DMA address of completion number `index`.
    fn completion(&self, index: u32) -> u64 {
        let slot = slot(index, self.completion_entries);
        self.completion_ring + u64::from(slot) * size_of::<Completion>() as u64
    }
}

impl<S: Shared> Words for QueueMemory<S> {
    fn load(&self, word: Word) -> u32 {
        self.shared.load(word.offset(self.queue))
    }

    fn store(&self, word: Word, value: u32) {
        self.shared.store(word.offset(self.queue), value);
    }

    fn fence(&self) {
        barrier::full();
    }
}

impl<S: Shared> RingMemory for QueueMemory<S> {
    fn put(&self, index: u32, descriptor: &Descriptor) {
        self.shared
            .write(self.descriptor(index), descriptor.as_bytes());
    }

    fn get(&self, index: u32) -> Completion {
        let mut completion = Completion::new_zeroed();
        self.shared
            .read(self.completion(index), completion.as_mut_bytes());
        completion
    }

    fn put_inline(&self, index: u32) -> bool {
        let mut descriptor = Descriptor::new_zeroed();
        self.shared
            .read(self.descriptor(index), descriptor.as_mut_bytes());
        let copied = &descriptor.as_bytes()[..INLINE_LENGTH];
        self.shared
            .write_page(inline_descriptor(self.queue), copied);
        // The inline copy lacks the reserved words, so it is valid only if they are 0.
        descriptor.reserved == [0; 3]
    }

    fn get_inline(&self) -> Completion {
        let mut completion = Completion::new_zeroed();
        let offset = inline_completion(self.queue);
        self.shared.read_page(offset, completion.as_mut_bytes());
        // Orders the copy before the load of the generation that confirms it.
        barrier::acquire();
        completion
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic = "queue 64, the last is 63"]
    fn queue_that_the_layout_does_not_have_is_refused() {
        let setup = QueueSetup {
            queue: 64,
            ..QueueSetup::default()
        };

        QueueMemory::new((), &setup);
    }
}
