// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Words and entries of one queue in shared memory.

use crate::ring::RingMemory;
use crate::Shared;
use ringbar_spec::regs::{INLINE_COMPLETION_0, INLINE_DESCRIPTOR_0};
use ringbar_spec::ring::{Completion, Descriptor, INLINE_LENGTH};
use ringbar_spec::setup::QueueSetup;
use ringbar_spec::wake::{Word, Words};
use ringbar_spec::RegisterInfo;
use std::sync::atomic::{fence, Ordering};
use zerocopy::{FromZeros, IntoBytes};

/// Shared memory of one queue.
#[derive(Clone, Debug)]
pub struct QueueMemory<S> {
    shared: S,
    queue: usize,
    submission_ring: u64,
    completion_ring: u64,
}

impl<S> QueueMemory<S> {
    /// Returns the memory of the queue that a block describes.
    pub fn new(shared: S, setup: &QueueSetup) -> Self {
        Self {
            shared,
            queue: setup.queue as usize,
            submission_ring: setup.submission_ring,
            completion_ring: setup.completion_ring,
        }
    }

    /// Returns the memory that it is part of.
    pub fn shared(&self) -> &S {
        &self.shared
    }

    /// Returns the offset of the queue's register in BAR 0.
    fn offset(&self, info: &RegisterInfo) -> usize {
        info.offset_of(self.queue).expect("a queue of the layout")
    }

    /// Returns the DMA address of a slot of the submission ring.
    fn entry(&self, slot: u32) -> u64 {
        self.submission_ring + u64::from(slot) * size_of::<Descriptor>() as u64
    }
}

impl<S: Shared> Words for QueueMemory<S> {
    fn load(&self, word: Word) -> u32 {
        self.shared.load(self.offset(word.register()))
    }

    fn store(&self, word: Word, value: u32) {
        self.shared.store(self.offset(word.register()), value);
    }

    fn fence(&self) {
        fence(Ordering::SeqCst);
    }
}

impl<S: Shared> RingMemory for QueueMemory<S> {
    fn put(&self, slot: u32, descriptor: &Descriptor) {
        self.shared.write(self.entry(slot), descriptor.as_bytes());
    }

    fn get(&self, slot: u32) -> Completion {
        let entry = self.completion_ring + u64::from(slot) * size_of::<Completion>() as u64;
        let mut completion = Completion::new_zeroed();
        self.shared.read(entry, completion.as_mut_bytes());
        completion
    }

    fn put_inline(&self, slot: u32) -> bool {
        let mut descriptor = Descriptor::new_zeroed();
        self.shared
            .read(self.entry(slot), descriptor.as_mut_bytes());
        let copied = &descriptor.as_bytes()[..INLINE_LENGTH];
        let beside = self.offset(&INLINE_DESCRIPTOR_0::INFO);
        self.shared.write_page(beside, copied);
        descriptor.reserved == [0; 3]
    }

    fn get_inline(&self) -> Completion {
        let mut completion = Completion::new_zeroed();
        let beside = self.offset(&INLINE_COMPLETION_0::INFO);
        self.shared.read_page(beside, completion.as_mut_bytes());
        // Orders the copy before the load of the generation that confirms it.
        fence(Ordering::Acquire);
        completion
    }
}
