// SPDX-License-Identifier: GPL-2.0-only

//! PCI resources that the `pci` abstractions of Linux 7.3 do not offer.

use crate::mapping::pci::{
    as_raw,
    IoRange, //
};
use kernel::{
    bindings,
    device::Bound,
    error::to_result,
    pci,
    prelude::*, //
};

extern "C" {
    // In `shim.c`: calls `memset_io`, which is inline in the kernel.
    fn ringbar_memset_io(address: *mut c_void, value: c_int, length: usize);
    // In `shim.c`: `ioremap_wc` is a macro of some architectures.
    fn ringbar_ioremap_wc(address: u64, length: usize) -> *mut c_void;
}

/// Fills a range with zeros. The caller must be its only user until this returns.
///
/// # Errors
///
/// `ENOMEM`.
pub(super) fn zero(range: IoRange<'_>) -> Result {
    let mapping = WriteCombiningMapping::new(range)?;
    // SAFETY: The mapping was made just now, is writable, and is as long as the range.
    unsafe { ringbar_memset_io(mapping.0, 0, range.length()) };
    Ok(())
}

/// A BAR that is requested, so that no other driver uses it, but not mapped into the kernel.
///
/// On x86-64, a mapping by the kernel would fix the cache policy of all other mappings of the BAR
/// (memory types).
pub(crate) struct RequestedBar<'bound> {
    pdev: &'bound pci::Device<Bound>,
    bar: u32,
}

impl<'bound> RequestedBar<'bound> {
    /// Requests `bar`.
    ///
    /// # Errors
    ///
    /// `EBUSY` if another driver has it already.
    pub(crate) fn new(pdev: &'bound pci::Device<Bound>, bar: u32) -> Result<Self> {
        let name = c"ringbar";
        // SAFETY: The device is valid and bound, the name lives as long as the module.
        to_result(unsafe {
            bindings::pci_request_region(as_raw(pdev), bar as i32, name.as_char_ptr())
        })?;
        Ok(Self { pdev, bar })
    }

    /// Returns the size in bytes.
    fn size(&self) -> Result<usize> {
        Ok(usize::try_from(self.pdev.resource_len(self.bar)?)?)
    }

    /// Returns all of the BAR.
    pub(crate) fn range(&self) -> Result<IoRange<'_>> {
        IoRange::new(self.pdev, self.bar, 0, self.size()?)
    }
}

impl Drop for RequestedBar<'_> {
    fn drop(&mut self) {
        // SAFETY: `new` requested the region, and the device is still bound by the lifetime of
        // `pdev`.
        unsafe { bindings::pci_release_region(as_raw(self.pdev), self.bar as i32) };
    }
}

/// A range that is mapped into the kernel, write-combining.
///
/// On x86-64 this also reserves the range for write-combining. The reservation must exist before
/// single frames are mapped write-combining: `vmf_insert_pfn` takes the policy of a frame's
/// reservation, whatever the VMA asks for.
pub(crate) struct WriteCombiningMapping(*mut c_void);

// SAFETY: A mapping by the kernel belongs to no thread: any thread may undo it.
unsafe impl Send for WriteCombiningMapping {}
// SAFETY: A shared reference gives no access to the mapping.
unsafe impl Sync for WriteCombiningMapping {}

impl WriteCombiningMapping {
    /// Maps `range`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(range: IoRange<'_>) -> Result<Self> {
        // SAFETY: By its invariants the range is in a BAR that this driver has requested.
        let start = unsafe { ringbar_ioremap_wc(range.start(), range.length()) };
        if start.is_null() {
            return Err(ENOMEM);
        }
        Ok(Self(start))
    }
}

impl Drop for WriteCombiningMapping {
    fn drop(&mut self) {
        // SAFETY: `new` made the mapping, and only this undoes it.
        unsafe { bindings::iounmap(self.0) };
    }
}

/// Marks the device as dead for the PCI core, so that no configuration access of the kernel reaches
/// it any more.
///
/// Each access to a device that does not answer lasts until QEMU's time-out, and a removal of the
/// driver makes several.
pub(super) fn mark_dead(pdev: &pci::Device<Bound>) {
    // SAFETY: The pointer is that of a reference to a valid device. The PCI core changes
    // the field without a lock, so this store is volatile and without a lock, too.
    unsafe {
        (&raw mut (*as_raw(pdev)).error_state)
            .write_volatile(bindings::pci_channel_io_perm_failure);
    }
}
