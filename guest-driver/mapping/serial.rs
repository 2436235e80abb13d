// SPDX-License-Identifier: GPL-2.0-only

//! Serial numbers of memory, which tell it from later memory under the same number.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// Serial number of memory. All memory that a module ever maps on faults has one of its own.
///
/// A mapping may outlive its region, without pages. If the number of the region is used again, the
/// next fault of the mapping must not show the new region.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Serial(usize);

static LAST: Atomic<usize> = Atomic::new(0);

impl Serial {
    /// Returns the next one.
    pub(crate) fn new() -> Self {
        Self(LAST.fetch_add(1, Relaxed).wrapping_add(1))
    }

    /// Returns the one that a VMA holds in `vm_private_data`.
    pub(super) fn from_raw(raw: usize) -> Self {
        Self(raw)
    }

    /// Returns the value for `vm_private_data` of a VMA.
    pub(super) fn raw(self) -> usize {
        self.0
    }
}
