// SPDX-License-Identifier: GPL-2.0-only

//! Memory of the kernel that processes map: coherent with a device, physically contiguous, or of
//! vmalloc.

use super::{
    cache::{
        self,
        CachePolicy, //
    },
    serial::Serial,
    series::memory::dma_address, //
};
use core::ops::{
    Deref,
    Range, //
};
use kernel::{
    bindings,
    device::{
        self,
        Bound, //
    },
    dma::Coherent,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::aref::ARef, //
};

extern "C" {
    // `shim.c`: an inline function of the kernel.
    fn mapping_virt_to_phys(address: *const c_void) -> u64;
}

/// Zeroed memory that a device and processes share, in whole pages, and the device for which it was
/// allocated. With another device, the kernel would map other memory to the process, or none.
pub(crate) struct CoherentMemory {
    device: ARef<device::Device>,
    bytes: Coherent<[u8]>,
}

impl CoherentMemory {
    /// Allocates at least `size` bytes. Whole pages, as a process would otherwise see the kernel's
    /// other data in the last page that it maps.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(device: &device::Device<Bound>, size: usize) -> Result<Self> {
        let size = size.checked_next_multiple_of(PAGE_SIZE).ok_or(ENOMEM)?;
        let bytes = Coherent::zeroed_slice(device, size, GFP_KERNEL)?;
        let device: &device::Device = device;
        Ok(Self {
            device: device.into(),
            bytes,
        })
    }

    /// Returns its address as the device has it.
    pub(crate) fn dma_address(&self) -> u64 {
        dma_address(&self.bytes)
    }

    /// Returns the device.
    pub(super) fn device(&self) -> &device::Device {
        &self.device
    }
}

impl Deref for CoherentMemory {
    type Target = Coherent<[u8]>;

    fn deref(&self) -> &Coherent<[u8]> {
        &self.bytes
    }
}

/// Physically contiguous, zeroed memory in whole pages, with a cache policy.
///
/// What becomes of the kernel's own mapping depends on the architecture (`mapping/cache/`).
///
/// # Invariants
///
/// `start` points to `size` bytes from `alloc_pages_exact`, which this owns.
pub(crate) struct Contiguous {
    start: *mut c_void,
    size: usize,
    policy: CachePolicy,
}

// SAFETY: Memory of the page allocator belongs to no thread: any may free it.
unsafe impl Send for Contiguous {}
// SAFETY: A shared reference gives no access to the bytes, only their address.
unsafe impl Sync for Contiguous {}

impl Contiguous {
    /// Allocates `size` bytes, a multiple of the page size.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; the errors of the kernel when it sets the policy.
    pub(crate) fn new(size: usize, policy: CachePolicy) -> Result<Self> {
        let flags = bindings::GFP_KERNEL | bindings::__GFP_ZERO | bindings::__GFP_NOWARN;
        // SAFETY: The allocator takes any size, and these flags are valid ones.
        let start = unsafe { bindings::alloc_pages_exact_noprof(size, flags) };
        if start.is_null() {
            return Err(ENOMEM);
        }
        // INVARIANT: Just allocated. The policy is noted before it is set: that may fail half way,
        // and the drop must then set the first pages back.
        let memory = Self {
            start,
            size,
            policy,
        };
        // SAFETY: The pages were allocated just now, so no other code uses them.
        unsafe { cache::begin(&memory.addresses(), policy) }?;
        Ok(memory)
    }

    /// Returns the size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Returns the address of the first byte in the kernel's linear mapping. For a caller that does
    /// not map the memory to a process.
    pub(crate) fn start(&self) -> *mut c_void {
        self.start
    }

    /// Returns the cache policy.
    pub(crate) fn policy(&self) -> CachePolicy {
        self.policy
    }

    /// Returns the page frame number at `offset`, from where `length` bytes are in the memory.
    ///
    /// # Errors
    ///
    /// `EINVAL` if they are not.
    pub(crate) fn frame(&self, offset: usize, length: usize) -> Result<usize> {
        if offset.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariants this is an address of the kernel's linear mapping.
        let start = unsafe { mapping_virt_to_phys(self.start) } as usize;
        Ok((start + offset) >> PAGE_SHIFT)
    }

    /// Has `access` read or write the bytes at `offset`, from where `length` bytes are in the memory,
    /// by the kernel's own mapping. Processes see what it writes, and it sees what they wrote.
    ///
    /// # Errors
    ///
    /// `EINVAL` if they are not.
    pub(crate) fn with_bytes(
        &self,
        offset: usize,
        length: usize,
        access: impl FnOnce(*mut u8),
    ) -> Result {
        if offset.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(EINVAL);
        }
        let start = self.start.cast::<u8>().wrapping_add(offset);
        let bytes = start as usize..start as usize + length;
        if self.policy == CachePolicy::Cached {
            access(start);
            return Ok(());
        }
        // SAFETY: By the type invariants these are bytes of the linear mapping.
        unsafe { cache::agree(&bytes) };
        access(start);
        // SAFETY: By the type invariants these are bytes of the linear mapping.
        unsafe { cache::agree(&bytes) };
        Ok(())
    }

    /// Returns the addresses in the kernel's linear mapping.
    fn addresses(&self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.size
    }
}

impl Drop for Contiguous {
    fn drop(&mut self) {
        if self.policy != CachePolicy::Cached {
            // SAFETY: By the type invariants this owns the pages, and no process maps them any
            // more.
            let restored = unsafe { cache::end(&self.addresses()) };
            if restored.is_err() {
                pr_warn!(
                    "{} pages keep their cache policy and are never freed\n",
                    self.size / PAGE_SIZE
                );
                return;
            }
        }
        // SAFETY: By the type invariants these are address and size of memory from
        // `alloc_pages_exact`, which this owns.
        unsafe { bindings::free_pages_exact(self.start, self.size) };
    }
}

/// Zeroed memory in whole pages, contiguous in the kernel's address space alone.
pub(crate) struct Scattered {
    bytes: VVec<u8>,
    serial: Serial,
}

impl Scattered {
    /// Allocates `size` bytes, a multiple of the page size.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(size: usize) -> Result<Self> {
        Ok(Self {
            bytes: VVec::from_elem(0, size, GFP_KERNEL)?,
            serial: Serial::new(),
        })
    }

    /// Returns the size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Returns its serial number.
    pub(super) fn serial(&self) -> Serial {
        self.serial
    }

    /// Returns the page at `offset`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that is outside.
    pub(crate) fn page(&self, offset: usize) -> Result<*mut bindings::page> {
        if offset >= self.bytes.len() {
            return Err(EINVAL);
        }
        // SAFETY: The offset was checked, so the address lies in memory of vmalloc, which this
        // owns.
        Ok(unsafe { bindings::vmalloc_to_page(self.bytes.as_ptr().wrapping_add(offset).cast()) })
    }
}
