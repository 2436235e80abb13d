// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The shared words of a queue, in pages that belong to the process around the model.

use crate::Host;
use ringbar_spec::regs::{INLINE_COMPLETION_0, INLINE_DESCRIPTOR_0};
use ringbar_spec::ring::{Completion, Descriptor, INLINE_LENGTH};
use ringbar_spec::wake::{Word, Words};
use ringbar_spec::RegisterInfo;
use zerocopy::IntoBytes;

/// All shared words of a queue but [`Word::Generation`].
const PASSING: [Word; 9] = [
    Word::SubmissionTail,
    Word::SubmissionInline,
    Word::CompletionHead,
    Word::InterruptAt,
    Word::DriverInterruptAt,
    Word::CompletionTail,
    Word::Sleeping,
    Word::QueueState,
    Word::Heartbeat,
];

/// Access to the shared words of one queue.
#[derive(Clone, Copy)]
pub(crate) struct QueueWords<'a> {
    host: &'a dyn Host,
    queue: u16,
}

impl<'a> QueueWords<'a> {
    /// Makes the access to the words of a queue that the layout has pages for.
    pub(crate) fn new(host: &'a dyn Host, queue: u16) -> Self {
        Self { host, queue }
    }

    /// Sets all words to 0 but the generation, which gets a value, and clears the inline completion
    /// (data sheet 12).
    pub(crate) fn reset(&self, generation: u32) {
        // A reset is the one case in which the device writes words of the driver side (data sheet
        // 6).
        for word in PASSING {
            self.store(word, 0);
        }
        self.show_completion(&Completion::default());
        self.store(Word::Generation, generation);
    }

    /// Copies the descriptor beside the submission tail. `None` if `SUBMISSION_INLINE` is not 1.
    pub(crate) fn inline_descriptor(&self) -> Option<Descriptor> {
        if self.load(Word::SubmissionInline) & 1 == 0 {
            return None;
        }
        // Copied once; the caller checks the copy (data sheet 6). The driver side may change the
        // bytes at any time. The reserved bytes have no inline copy, and stay 0.
        let mut descriptor = Descriptor::default();
        let bytes = descriptor.as_mut_bytes().get_mut(..INLINE_LENGTH)?;
        let place = self.offset(&INLINE_DESCRIPTOR_0::INFO);
        self.host.read_shared(place, bytes);
        Some(descriptor)
    }

    /// Writes a completion beside the completion tail. The tail must be stored after it (data sheet
    /// 6), or the driver side would read the completion before.
    pub(crate) fn show_completion(&self, completion: &Completion) {
        let place = self.offset(&INLINE_COMPLETION_0::INFO);
        self.host.write_shared(place, completion.as_bytes());
    }

    /// Returns the queue's offset of a register that is there once per queue.
    fn offset(&self, info: &RegisterInfo) -> usize {
        info.offset + usize::from(self.queue) * info.stride
    }
}

impl Words for QueueWords<'_> {
    fn load(&self, word: Word) -> u32 {
        self.host.load(self.offset(word.register()))
    }

    fn store(&self, word: Word, value: u32) {
        self.host.store(self.offset(word.register()), value);
    }

    fn fence(&self) {
        self.host.fence();
    }
}
