// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The shared words of queue 0, in BAR 0 as mapped.

use ringbar_client::Mapping;
use ringbar_spec::layout::DOORBELL_PAGES;
use ringbar_spec::wake::{Word, Words};
use std::sync::atomic::{fence, Ordering};

/// The doorbell and status pages, mapped from the first of them on.
pub(crate) struct SharedPages(pub(crate) Mapping);

fn place(word: Word) -> usize {
    word.register().offset - DOORBELL_PAGES
}

impl Words for SharedPages {
    fn load(&self, word: Word) -> u32 {
        let value = self.0.read(place(word));
        fence(Ordering::Acquire);
        value
    }

    fn store(&self, word: Word, value: u32) {
        fence(Ordering::Release);
        self.0.write(place(word), value);
    }

    fn fence(&self) {
        fence(Ordering::SeqCst);
    }
}
