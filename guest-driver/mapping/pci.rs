// SPDX-License-Identifier: GPL-2.0-only

//! Parts of a PCI device that the `pci` abstractions of Linux 7.3 do not offer.

use kernel::{
    bindings,
    device::Bound,
    page::PAGE_SIZE,
    pci,
    prelude::*, //
};

/// A range of a BAR in physical address space.
///
/// # Invariants
///
/// The range is whole pages and lies in a BAR that the driver has requested. The driver removes
/// all mappings of the range before it gives the BAR back.
#[derive(Clone, Copy)]
pub(crate) struct IoRange {
    start: u64,
    length: usize,
}

impl IoRange {
    /// Returns the range of `length` bytes at `offset` of `bar`, which the caller has requested.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the range leaves the BAR or is not whole pages.
    pub(crate) fn new(
        pdev: &pci::Device<Bound>,
        bar: u32,
        offset: usize,
        length: usize,
    ) -> Result<Self> {
        let end = offset.checked_add(length).ok_or(EINVAL)?;
        let aligned = (offset | length) % PAGE_SIZE == 0;
        if !aligned || end as u64 > pdev.resource_len(bar)? {
            return Err(EINVAL);
        }
        // INVARIANT: Pages and bounds were checked just now; the caller has requested the BAR.
        Ok(Self {
            start: pdev.resource_start(bar)? + offset as u64,
            length,
        })
    }

    /// Returns a part of the range.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the part leaves the range or is not whole pages.
    pub(crate) fn part(&self, offset: usize, length: usize) -> Result<Self> {
        let end = offset.checked_add(length).ok_or(EINVAL)?;
        if (offset | length) % PAGE_SIZE != 0 || end > self.length {
            return Err(EINVAL);
        }
        // INVARIANT: Pages and bounds were checked just now; the whole range is in a requested BAR.
        Ok(Self {
            start: self.start + offset as u64,
            length,
        })
    }

    /// Returns the physical address of the first byte.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Returns the length in bytes.
    pub(crate) fn length(&self) -> usize {
        self.length
    }
}

/// Turns bus mastering off: the device can reach no memory and send no message any more. Its
/// interrupt pin still works.
pub(crate) fn clear_master(pdev: &pci::Device<Bound>) {
    // SAFETY: The reference is to a valid device, which is bound.
    unsafe { bindings::pci_clear_master(as_raw(pdev)) };
}

/// Returns the device for calls of the C interface.
pub(crate) fn as_raw(pdev: &pci::Device<Bound>) -> *mut bindings::pci_dev {
    // CAST: `pci::Device` is a transparent wrapper of `struct pci_dev`.
    core::ptr::from_ref(pdev).cast_mut().cast()
}
