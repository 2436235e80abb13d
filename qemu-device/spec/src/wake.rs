// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! How the two sides of a queue sleep and wake each other without losing a wake-up. Shared with
//! the kernel module, used by device, driver and processes.
//!
//! Both directions are the same pattern: a side writes one word and then reads another, with a
//! full fence between, while the other side does so the other way round. So at least one of them
//! sees what the other wrote. Each word has one writer, and nothing is read, changed and written
//! in one step.
//!
//! | who | writes | fence | reads |
//! |---|---|---|---|
//! | [`submit`] | `SUBMISSION_TAIL` | yes | `SLEEPING`: kick? |
//! | [`sleep`] | `SLEEPING` | yes | `SUBMISSION_TAIL`: stay awake? |
//! | [`post`] | `COMPLETION_TAIL` | yes | `INTERRUPT_AT`: raise? |
//! | [`arm`] | `INTERRUPT_AT` | yes | `COMPLETION_TAIL`: stay awake? |

use super::ring::distance;

/// A shared word of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// `regs::SUBMISSION_TAIL`.
    SubmissionTail,
    /// `regs::SUBMISSION_INLINE`.
    SubmissionInline,
    /// `regs::COMPLETION_HEAD`.
    CompletionHead,
    /// `regs::INTERRUPT_AT`.
    InterruptAt,
    /// `regs::DRIVER_INTERRUPT_AT`.
    DriverInterruptAt,
    /// `regs::COMPLETION_TAIL`.
    CompletionTail,
    /// `regs::SLEEPING`.
    Sleeping,
    /// `regs::QUEUE_STATE`.
    QueueState,
    /// `regs::GENERATION`.
    Generation,
    /// `regs::HEARTBEAT`.
    Heartbeat,
}

/// The shared words of one queue, as one side reaches them.
pub trait Words {
    /// Loads a word. What the other side wrote before it is seen by later reads (acquire).
    fn load(&self, word: Word) -> u32;

    /// Stores a word. What was written before it is seen by whoever sees it (release).
    fn store(&self, word: Word, value: u32);

    /// Orders all that comes before against all that comes after: `fence(SeqCst)`.
    fn fence(&self);
}

/// Who waits for completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiter {
    /// The process that maps the queue.
    Process,
    /// The driver, on behalf of a process that sleeps in a call.
    Driver,
}

impl Waiter {
    /// The word that says what it waits for.
    pub const fn word(self) -> Word {
        match self {
            Self::Process => Word::InterruptAt,
            Self::Driver => Word::DriverInterruptAt,
        }
    }
}

/// Driver side: hands descriptors below `tail` to the device. Says whether to kick it.
pub fn submit<W: Words + ?Sized>(words: &W, tail: u32) -> bool {
    words.store(Word::SubmissionTail, tail);
    words.fence();
    words.load(Word::Sleeping) != 0
}

/// Device: goes to sleep unless `has_work` finds something. Says whether it sleeps.
///
/// `has_work` looks at the words anew, after the device has announced that it sleeps.
pub fn sleep<W: Words + ?Sized>(words: &W, has_work: impl FnOnce(&W) -> bool) -> bool {
    words.store(Word::Sleeping, 1);
    words.fence();
    if has_work(words) {
        wake(words);
        return false;
    }
    true
}

/// Device: is awake, and looks at the words from now on until it sleeps.
pub fn wake<W: Words + ?Sized>(words: &W) {
    words.store(Word::Sleeping, 0);
}

/// Device: announces the completions from `before` to `tail`. Says whether to raise an interrupt.
pub fn post<W: Words + ?Sized>(words: &W, before: u32, tail: u32) -> bool {
    words.store(Word::CompletionTail, tail);
    words.fence();
    [Waiter::Process, Waiter::Driver]
        .iter()
        .any(|waiter| passes(words.load(waiter.word()), before, tail))
}

/// Driver side: wants an interrupt when completion `index` is posted. Gives the completion tail as
/// it was after that: only if it has not passed `index` will the interrupt come, so only then may
/// the caller sleep.
pub fn arm<W: Words + ?Sized>(words: &W, waiter: Waiter, index: u32) -> u32 {
    words.store(waiter.word(), index);
    words.fence();
    words.load(Word::CompletionTail)
}

/// Whether entry `index` is among those from `before` up to `tail`.
pub const fn passes(index: u32, before: u32, tail: u32) -> bool {
    distance(before, index) < distance(before, tail)
}
