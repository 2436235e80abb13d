// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The registers in which the words of `wake` lie. The module has accessors of its own instead.

use crate::regs::{
    COMPLETION_HEAD, COMPLETION_TAIL, DRIVER_INTERRUPT_AT, GENERATION, HEARTBEAT, INTERRUPT_AT,
    QUEUE_STATE, SLEEPING, SUBMISSION_INLINE, SUBMISSION_TAIL,
};
use crate::wake::Word;
use crate::RegisterInfo;

impl Word {
    /// Returns the array of registers that holds the word, one per queue.
    pub const fn register(self) -> &'static RegisterInfo {
        match self {
            Self::SubmissionTail => &SUBMISSION_TAIL::INFO,
            Self::SubmissionInline => &SUBMISSION_INLINE::INFO,
            Self::CompletionHead => &COMPLETION_HEAD::INFO,
            Self::InterruptAt => &INTERRUPT_AT::INFO,
            Self::DriverInterruptAt => &DRIVER_INTERRUPT_AT::INFO,
            Self::CompletionTail => &COMPLETION_TAIL::INFO,
            Self::Sleeping => &SLEEPING::INFO,
            Self::QueueState => &QUEUE_STATE::INFO,
            Self::Generation => &GENERATION::INFO,
            Self::Heartbeat => &HEARTBEAT::INFO,
        }
    }
}
