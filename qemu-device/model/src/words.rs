// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The shared words of a queue, in the pages that the process around the model keeps.

use crate::Host;
use ringbar_spec::regs::{
    COMPLETION_HEAD, COMPLETION_TAIL, DRIVER_INTERRUPT_AT, GENERATION, HEARTBEAT, INTERRUPT_AT,
    QUEUE_STATE, SLEEPING, SUBMISSION_TAIL,
};
use ringbar_spec::wake::{Word, Words};
use ringbar_spec::RegisterInfo;

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
        let info = info(word);
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

const fn info(word: Word) -> &'static RegisterInfo {
    match word {
        Word::SubmissionTail => &SUBMISSION_TAIL::INFO,
        Word::CompletionHead => &COMPLETION_HEAD::INFO,
        Word::InterruptAt => &INTERRUPT_AT::INFO,
        Word::DriverInterruptAt => &DRIVER_INTERRUPT_AT::INFO,
        Word::CompletionTail => &COMPLETION_TAIL::INFO,
        Word::Sleeping => &SLEEPING::INFO,
        Word::QueueState => &QUEUE_STATE::INFO,
        Word::Generation => &GENERATION::INFO,
        Word::Heartbeat => &HEARTBEAT::INFO,
    }
}
