// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The shared words of a queue, in the mapped pages.

use ringbar_spec::wake::{Word, Words};
use std::sync::atomic::{fence, AtomicU32, Ordering};
use vm_memory::{MmapRegion, VolatileMemory};

/// The words of queue 0.
pub(crate) struct Shared<'a>(pub(crate) &'a MmapRegion);

impl Shared<'_> {
    /// Returns the word of queue 0.
    fn word(&self, word: Word) -> &AtomicU32 {
        let word = self.0.get_atomic_ref(word.register().offset);
        word.expect("all of BAR 0 is mapped")
    }
}

impl Words for Shared<'_> {
    fn load(&self, word: Word) -> u32 {
        self.word(word).load(Ordering::Acquire)
    }

    fn store(&self, word: Word, value: u32) {
        self.word(word).store(value, Ordering::Release);
    }

    fn fence(&self) {
        fence(Ordering::SeqCst);
    }
}
