// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Shared words of queue 0, in the mapped BAR 0.

use ringbar_client::Mapping;
use ringbar_spec::layout::DOORBELL_PAGES;
use ringbar_spec::wake::{Word, Words};
use std::sync::atomic::{fence, Ordering};

/// Mapped doorbell and status pages, starting with the first doorbell page.
pub(crate) struct SharedPages(pub(crate) Mapping);

/// Returns the offset of a word in the mapping.
fn place(word: Word) -> usize {
    word.register().offset - DOORBELL_PAGES
}

impl Words for SharedPages {
    fn load(&self, word: Word) -> u32 {
        let value = self.0.read(place(word));
        // Otherwise an entry could be read before the tail that announces it.
        fence(Ordering::Acquire);
        value
    }

    fn store(&self, word: Word, value: u32) {
        // Otherwise the device could see a tail before the entry that it announces.
        fence(Ordering::Release);
        self.0.write(place(word), value);
    }

    fn fence(&self) {
        fence(Ordering::SeqCst);
    }
}
