// SPDX-License-Identifier: GPL-2.0-only

//! Parts of a PCI device that the `pci` abstractions of Linux 7.3 do not offer.

use core::marker::PhantomData;
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
/// The range is whole pages and lies in a BAR of a device that is bound for `'a`. The BAR was
/// requested when the range was made. The layer removes all mappings before the device is unbound.
#[derive(Clone, Copy)]
pub(crate) struct IoRange<'a> {
    start: u64,
    length: usize,
    device: PhantomData<&'a pci::Device<Bound>>,
}

impl<'a> IoRange<'a> {
    /// Returns the range of `length` bytes at `offset` of `bar`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the range leaves the BAR or is not whole pages; `EBUSY` if the driver has not
    /// requested the BAR, which another driver may then use.
    pub(crate) fn new(
        pdev: &'a pci::Device<Bound>,
        bar: u32,
        offset: usize,
        length: usize,
    ) -> Result<Self> {
        let end = offset.checked_add(length).ok_or(EINVAL)?;
        let aligned = (offset | length) % PAGE_SIZE == 0;
        if !aligned || end as u64 > pdev.resource_len(bar)? {
            return Err(EINVAL);
        }
        if !is_requested(pdev, bar) {
            return Err(EBUSY);
        }
        // INVARIANT: Pages, bounds and request were checked just now, and the device is bound.
        Ok(Self {
            start: pdev.resource_start(bar)? + offset as u64,
            length,
            device: PhantomData,
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
            device: PhantomData,
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

/// Returns whether `bar`, which the device has, was requested: by its driver, as no other driver has
/// the device meanwhile.
fn is_requested(pdev: &pci::Device<Bound>, bar: u32) -> bool {
    // SAFETY: The reference is to a valid device.
    let resources = unsafe { &raw const (*as_raw(pdev)).resource };
    let resource: *const bindings::resource = resources.cast();
    let resource = resource.wrapping_add(bar as usize);
    // A request is a resource inside that of the BAR. The kernel links it under a lock of its own,
    // so this load is volatile.
    // SAFETY: The array of resources has one for each BAR of the device.
    let request = unsafe { (&raw const (*resource).child).read_volatile() };
    !request.is_null()
}

/// Turns bus mastering on.
pub(crate) fn set_master(pdev: &pci::Device<Bound>) {
    // SAFETY: The reference is to a valid device, which is bound.
    unsafe { bindings::pci_set_master(as_raw(pdev)) };
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
