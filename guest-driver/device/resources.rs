// SPDX-License-Identifier: GPL-2.0-only

//! PCI resources that the `pci` abstractions of Linux 7.3 do not offer.

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
}

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
        let aligned = (offset | length) % kernel::page::PAGE_SIZE == 0;
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
        if (offset | length) % kernel::page::PAGE_SIZE != 0 || end > self.length {
            return Err(EINVAL);
        }
        // INVARIANT: Pages and bounds were checked just now; the whole range is in a requested BAR.
        Ok(Self {
            start: self.start + offset as u64,
            length,
        })
    }

    /// Fills the range with zeros. The caller must be its only user until this returns.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn zero(&self) -> Result {
        let mapping = WriteCombiningMapping::new(*self)?;
        // SAFETY: The mapping was made just now, is writable, and is as long as the range.
        unsafe { ringbar_memset_io(mapping.0, 0, self.length) };
        Ok(())
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

/// A BAR that is requested, so that no other driver uses it, but not mapped into the kernel.
///
/// A mapping by the kernel would fix the cache policy of all other mappings of the BAR (x86 memory
/// types).
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
    pub(crate) fn size(&self) -> Result<usize> {
        Ok(usize::try_from(self.pdev.resource_len(self.bar)?)?)
    }

    /// Returns all of the BAR.
    pub(crate) fn range(&self) -> Result<IoRange> {
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
/// This also reserves the range for write-combining. On x86 the reservation must exist before single
/// frames are mapped write-combining: `vmf_insert_pfn` takes the policy of a frame's reservation, whatever the VMA asks
/// for.
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
    pub(crate) fn new(range: IoRange) -> Result<Self> {
        // SAFETY: By its invariants the range is in a BAR that this driver has requested.
        let start = unsafe { bindings::ioremap_wc(range.start(), range.length() as c_ulong) };
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

/// Turns bus mastering off: the device can reach no memory and raise no interrupt any more.
pub(crate) fn clear_master(pdev: &pci::Device<Bound>) {
    // SAFETY: The reference is to a valid device, which is bound.
    unsafe { bindings::pci_clear_master(as_raw(pdev)) };
}

/// With a single access, turns bus mastering off on a device that does not answer. Marks the device as
/// dead for the PCI core, so that no configuration access of the kernel reaches it any more.
///
/// Each further access would last until QEMU's time-out, and a removal of the driver makes several.
pub(crate) fn give_up(pdev: &pci::Device<Bound>) {
    let pdev = as_raw(pdev);
    let (register, value) = (
        bindings::PCI_COMMAND as i32,
        bindings::PCI_COMMAND_MEMORY as u16,
    );
    // Not `pci_clear_master`: it would read the register first, and write the meaningless value
    // back.
    // SAFETY: The pointer is that of a reference to a valid device, which is bound.
    unsafe { bindings::pci_write_config_word(pdev, register, value) };
    // SAFETY: The pointer is that of a reference to a valid device. The PCI core changes
    // the field without a lock, so this store is volatile and without a lock, too.
    unsafe {
        (&raw mut (*pdev).error_state).write_volatile(bindings::pci_channel_io_perm_failure);
    }
}

fn as_raw(pdev: &pci::Device<Bound>) -> *mut bindings::pci_dev {
    // CAST: `pci::Device` is a transparent wrapper of `struct pci_dev`.
    core::ptr::from_ref(pdev).cast_mut().cast()
}
