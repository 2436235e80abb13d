// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The shared words of a queue, in the pages that the process around the model keeps.

use crate::Host;
use ringbar_spec::wake::{Word, Words};

/// All shared words of a queue but [`Word::Generation`].
const PASSING: [Word; 8] = [
    Word::SubmissionTail,
    Word::CompletionHead,
    Word::InterruptAt,
    Word::DriverInterruptAt,
    Word::CompletionTail,
    Word::Sleeping,
    Word::QueueState,
    Word::Heartbeat,
];

/// The words of one queue.
#[derive(Clone, Copy)]
pub(crate) struct QueueWords<'a> {
    host: &'a dyn Host,
    queue: u16,
}

impl<'a> QueueWords<'a> {
    /// The words of a queue that the layout has pages for.
    pub(crate) fn new(host: &'a dyn Host, queue: u16) -> Self {
        Self { host, queue }
    }

    /// Sets all words to 0 but the generation, which gets a value.
    pub(crate) fn reset(&self, generation: u32) {
        for word in PASSING {
            self.store(word, 0);
        }
        self.store(Word::Generation, generation);
    }

    fn offset(&self, word: Word) -> usize {
        let info = word.register();
        info.offset + usize::from(self.queue) * info.stride
    }
}

impl Words for QueueWords<'_> {
    fn load(&self, word: Word) -> u32 {
        self.host.load(self.offset(word))
    }

    fn store(&self, word: Word, value: u32) {
        self.host.store(self.offset(word), value);
    }

    fn fence(&self) {
        self.host.fence();
    }
}
