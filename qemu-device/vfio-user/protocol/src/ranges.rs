// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Which DMA addresses are mapped, after the rules of the kernel's type 1 version 2.

use std::collections::BTreeMap;

use crate::device::DmaRange;

/// Ranges that do not overlap: last address by first address.
#[derive(Clone, Debug, Default)]
pub struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// A range that shares an address with `range`.
    pub fn overlap(&self, range: DmaRange) -> Option<DmaRange> {
        self.up_to(range.last)
            .filter(|found| found.last >= range.first)
    }

    /// A range that lies in `range` in part but not wholly.
    pub fn split(&self, range: DmaRange) -> Option<DmaRange> {
        let cut = |found: &DmaRange| {
            found.last >= range.first && (found.first < range.first || found.last > range.last)
        };
        let before = range.first.checked_sub(1).and_then(|end| self.up_to(end));
        before
            .filter(cut)
            .or_else(|| self.up_to(range.last).filter(cut))
    }

    /// Adds a range. That it overlaps no other is for the caller to ask before.
    pub fn insert(&mut self, range: DmaRange) {
        self.0.insert(range.first, range.last);
    }

    /// Removes every range that begins in `range`.
    pub fn remove(&mut self, range: DmaRange) {
        while let Some((&first, _)) = self.0.range(range.first..=range.last).next() {
            self.0.remove(&first);
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last range that begins at or before `address`.
    fn up_to(&self, address: u64) -> Option<DmaRange> {
        let (&first, &last) = self.0.range(..=address).next_back()?;
        Some(DmaRange { first, last })
    }
}
