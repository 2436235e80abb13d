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

#[cfg(test)]
mod tests {
    use super::super::{Place, Rights};
    use super::*;
    use crate::protocol::device::DmaRange;

    /// Returns a range of two pages.
    fn range(first: u64) -> Mapped {
        Mapped {
            range: DmaRange::new(first, 0x2000).expect("a range"),
            rights: Rights::READ_WRITE,
            place: Place::FIRST,
        }
    }

    fn first(found: Option<Mapped>) -> Option<u64> {
        found.map(|mapped| mapped.range.first)
    }

    #[test]
    fn range_that_was_found_is_found_again_by_addresses_of_that_page() {
        let recent = Recent::default();
        recent.put(0x5_1010, range(0x5_1000));

        let found = [0x5_1000, 0x5_1fff, 0x5_2000, 0x9_1000].map(|at| first(recent.get(at)));

        assert_eq!(found, [Some(0x5_1000), Some(0x5_1000), None, None]);
    }

    #[test]
    fn neighbouring_pages_have_entries_of_their_own() {
        let recent = Recent::default();
        let pages = (0..RECENT as u64).map(|page| page << PAGE_SHIFT);
        for page in pages.clone() {
            recent.put(page, range(page));
        }

        for page in pages {
            assert_eq!(first(recent.get(page)), Some(page), "{page:#x}");
        }
    }

    #[test]
    fn nothing_is_found_once_it_is_forgotten() {
        let recent = Recent::default();
        recent.put(0x5000, range(0x5000));
        recent.forget();

        assert_eq!(first(recent.get(0x5000)), None);
    }
}
