// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The mapped DMA addresses, by the rules of the kernel's type 1 version 2.

use std::collections::BTreeMap;

use crate::device::DmaRange;

/// Ranges that do not overlap: last address by first address.
#[derive(Clone, Debug, Default)]
pub struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Returns a range that shares an address with `range`.
    pub fn overlap(&self, range: DmaRange) -> Option<DmaRange> {
        // Ranges do not overlap each other. So the last one that begins at or before the end is the
        // only candidate.
        self.up_to(range.last)
            .filter(|found| found.last >= range.first)
    }

    /// Returns a range that lies in `range` in part but not wholly.
    pub fn split(&self, range: DmaRange) -> Option<DmaRange> {
        // Only the first and the last range can be cut. All others lie between the two.
        let cut = |found: &DmaRange| {
            found.last >= range.first && (found.first < range.first || found.last > range.last)
        };
        let before = range.first.checked_sub(1).and_then(|end| self.up_to(end));
        before
            .filter(cut)
            .or_else(|| self.up_to(range.last).filter(cut))
    }

    /// Adds a range. The caller checks before that it overlaps no other.
    pub fn insert(&mut self, range: DmaRange) {
        self.0.insert(range.first, range.last);
    }

    /// Removes every range that begins in `range`.
    pub fn remove(&mut self, range: DmaRange) {
        // The caller has checked that no range is cut, so a range that begins inside lies inside.
        while let Some((&first, _)) = self.0.range(range.first..=range.last).next() {
            self.0.remove(&first);
        }
    }

    /// Returns the number of ranges.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Checks whether no range is mapped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the last range that begins at or before `address`.
    fn up_to(&self, address: u64) -> Option<DmaRange> {
        let (&first, &last) = self.0.range(..=address).next_back()?;
        Some(DmaRange { first, last })
    }
}
