// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The protocol by which the two sides of a queue sleep and wake each other (data sheet 6). Shared
//! with the kernel module; device, driver and processes use it.
//!
//! Both directions are the same pattern. A side stores one word, and loads another after a full
//! fence. The other side does the same with the two words exchanged. So at least one side sees the
//! other's store. Otherwise both could read the old value, and the wake-up would be lost. Each word
//! has one writer, and no side uses a read-modify-write.
//!
//! | function | stores | fence | loads, and asks |
//! |---|---|---|---|
//! | [`submit`] | `submission_tail` | yes | `sleeping`: kick? |
//! | [`sleep`] | `sleeping` | yes | `submission_tail`: stay awake? |
//! | [`post`] | `completion_tail` | yes | `interrupt_at`, `driver_interrupt_at`: raise? |
//! | [`arm`] | `interrupt_at` or `driver_interrupt_at` | yes | `completion_tail`: stay awake? |

use super::layout::{DOORBELL_PAGES, PAGE_STRIDE, STATUS_PAGES};
use super::pages::{DoorbellPage, StatusPage};
use super::ring::distance;
use core::mem::offset_of;

/// A 32-bit word of a queue's [`DoorbellPage`] or [`StatusPage`]. Its number is its offset in
/// BAR 0, for queue 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Word {
    /// [`DoorbellPage::submission_tail`].
    SubmissionTail = DOORBELL_PAGES + offset_of!(DoorbellPage, submission_tail),
    /// [`DoorbellPage::submission_inline`].
    SubmissionInline = DOORBELL_PAGES + offset_of!(DoorbellPage, submission_inline),
    /// [`DoorbellPage::completion_head`].
    CompletionHead = DOORBELL_PAGES + offset_of!(DoorbellPage, completion_head),
    /// [`DoorbellPage::interrupt_at`].
    InterruptAt = DOORBELL_PAGES + offset_of!(DoorbellPage, interrupt_at),
    /// [`DoorbellPage::driver_interrupt_at`].
    DriverInterruptAt = DOORBELL_PAGES + offset_of!(DoorbellPage, driver_interrupt_at),
    /// [`StatusPage::completion_tail`].
    CompletionTail = STATUS_PAGES + offset_of!(StatusPage, completion_tail),
    /// [`StatusPage::sleeping`].
    Sleeping = STATUS_PAGES + offset_of!(StatusPage, sleeping),
    /// [`StatusPage::queue_state`].
    QueueState = STATUS_PAGES + offset_of!(StatusPage, queue_state),
    /// [`StatusPage::generation`].
    Generation = STATUS_PAGES + offset_of!(StatusPage, generation),
    /// [`StatusPage::heartbeat`].
    Heartbeat = STATUS_PAGES + offset_of!(StatusPage, heartbeat),
}

impl Word {
    /// All words, by offset.
    pub const ALL: [Self; 10] = [
        Self::SubmissionTail,
        Self::SubmissionInline,
        Self::CompletionHead,
        Self::InterruptAt,
        Self::DriverInterruptAt,
        Self::CompletionTail,
        Self::Sleeping,
        Self::QueueState,
        Self::Generation,
        Self::Heartbeat,
    ];

    /// Returns the word's offset in BAR 0, for a queue.
    pub const fn offset(self, queue: usize) -> usize {
        self as usize + queue * PAGE_STRIDE
    }

    /// Returns the word's offset in its page.
    pub const fn in_page(self) -> usize {
        self as usize % PAGE_STRIDE
    }

    /// Checks whether the word is in the doorbell page, which the driver side writes.
    pub const fn is_in_doorbell(self) -> bool {
        (self as usize) < STATUS_PAGES
    }
}

/// The shared words of one queue, as one side reaches them.
pub trait Words {
    /// Loads a word. Later reads see all that the other side wrote before it (acquire).
    fn load(&self, word: Word) -> u32;

    /// Stores a word. A side that sees it also sees all that was written before it (release).
    fn store(&self, word: Word, value: u32);

    /// Orders all accesses before it against all accesses after it: `fence(SeqCst)`.
    fn fence(&self);
}

/// A party that waits for completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiter {
    /// The process that maps the queue.
    Process,
    /// The driver, on behalf of a process that sleeps in a call.
    Driver,
}

impl Waiter {
    /// Returns the word by which it asks for an interrupt. Each waiter has its own, as a word has
    /// one writer.
    pub const fn word(self) -> Word {
        match self {
            Self::Process => Word::InterruptAt,
            Self::Driver => Word::DriverInterruptAt,
        }
    }
}

/// Hands descriptors below `tail` to the device. Returns whether to kick it. For the driver side.
pub fn submit<W: Words + ?Sized>(words: &W, tail: u32) -> bool {
    // The tail comes first. If `sleeping` were loaded before it, the device could go to sleep in
    // between with the old tail, and get no kick: the descriptor would never be seen. Without the
    // fence the processor may swap the two.
    words.store(Word::SubmissionTail, tail);
    words.fence();
    words.load(Word::Sleeping) != 0
}

/// Puts a queue to sleep unless `has_work` finds something. Returns whether it sleeps. For the
/// device.
///
/// `has_work` must load the words again: they may have changed since the device last looked.
pub fn sleep<W: Words + ?Sized>(words: &W, has_work: impl FnOnce(&W) -> bool) -> bool {
    // The device announces its sleep first, and looks at the doorbell last. A driver side that
    // stored its tail too late for this look sees the announcement, and kicks.
    words.store(Word::Sleeping, 1);
    words.fence();
    if has_work(words) {
        wake(words);
        return false;
    }
    true
}

/// Shows that the queue is awake: the device looks at its words until it sleeps again. For the
/// device.
pub fn wake<W: Words + ?Sized>(words: &W) {
    // No fence: a driver side that still sees 1 kicks once too often, which does no harm.
    words.store(Word::Sleeping, 0);
}

/// Announces the completions from `before` to `tail`. Returns whether to raise an interrupt. For
/// the device.
#[inline]
pub fn post<W: Words + ?Sized>(words: &W, before: u32, tail: u32) -> bool {
    // The tail comes before the look at the wishes. A waiter that armed too late for this look
    // loads the new tail after it, and does not sleep (data sheet 10).
    words.store(Word::CompletionTail, tail);
    words.fence();
    let wants = |waiter: Waiter| passes(words.load(waiter.word()), before, tail);
    wants(Waiter::Process) || wants(Waiter::Driver)
}

/// Asks for an interrupt when completion `index` is posted. Returns the completion tail as loaded
/// after that. For the driver side.
///
/// The interrupt comes only if that tail has not passed `index`. Only then may the caller sleep.
pub fn arm<W: Words + ?Sized>(words: &W, waiter: Waiter, index: u32) -> u32 {
    // The wish comes before the load of the tail. Otherwise the device could post in between and
    // see the old wish: the caller would sleep, and no interrupt would come.
    words.store(waiter.word(), index);
    words.fence();
    words.load(Word::CompletionTail)
}

/// Checks whether entry `index` is among those from `before` up to `tail`.
pub const fn passes(index: u32, before: u32, tail: u32) -> bool {
    // Both count from `before`. So a wish for an old completion is far away, and indices may pass
    // 2^32.
    distance(before, index) < distance(before, tail)
}
