// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Ranges that were found lately, so that the list is seldom searched.

use std::cell::Cell;

use super::Mapped;

/// Copies of ranges. It must forget all when a range is removed.
#[derive(Debug)]
pub(super) struct Recent([Cell<Option<Mapped>>; RECENT]);

/// Number of entries: enough for the rings and the pages of the buffers in use at the same time.
const RECENT: usize = 64;
/// Bits of an address within the smallest range that a vIOMMU makes.
const PAGE_SHIFT: u32 = 12;

impl Default for Recent {
    fn default() -> Self {
        Self([const { Cell::new(None) }; RECENT])
    }
}

impl Recent {
    /// Returns the range that holds `address`, if it was found lately.
    #[inline]
    pub(super) fn get(&self, address: u64) -> Option<Mapped> {
        let found = self.place(address)?.get();
        // Entries are shared by addresses, so the entry may hold another range.
        found.filter(|mapped| (mapped.range.first..=mapped.range.last).contains(&address))
    }

    /// Keeps a range that was found.
    pub(super) fn put(&self, address: u64, mapped: Mapped) {
        if let Some(place) = self.place(address) {
            place.set(Some(mapped));
        }
    }

    /// Forgets all ranges.
    pub(super) fn forget(&self) {
        for place in &self.0 {
            place.set(None);
        }
    }

    /// Returns the entry for an address.
    #[inline]
    fn place(&self, address: u64) -> Option<&Cell<Option<Mapped>>> {
        self.0.get((address >> PAGE_SHIFT) as usize % RECENT)
    }
}
