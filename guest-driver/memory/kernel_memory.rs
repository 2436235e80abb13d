// SPDX-License-Identifier: GPL-2.0-only

//! Memory of the kernel that a file owns and maps, without the device: contiguous, or vmalloc.

use super::cache::CachePolicy;
use crate::{
    device::{
        limits::{
            Amount,
            Charge, //
        },
        owner::Owner, //
    },
    interface::{
        ioctl,
        mmap, //
    },
};
use kernel::{
    bindings,
    error::to_result,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};

extern "C" {
    // `shim.c`: an inline function of the kernel.
    fn ringbar_virt_to_phys(address: *const c_void) -> u64;
    // Exported by the kernel, but not in its bindings.
    fn set_memory_wc(address: c_ulong, pages: c_int) -> c_int;
    fn set_memory_uc(address: c_ulong, pages: c_int) -> c_int;
    fn set_memory_wb(address: c_ulong, pages: c_int) -> c_int;
}

/// Physically contiguous, zeroed memory in whole pages, with a cache policy.
///
/// The kernel's own mapping gets the policy too: two policies for one page are undefined. It is
/// cached again before the memory is freed.
///
/// # Invariants
///
/// `start` points to `size` bytes from `alloc_pages_exact`, which this owns.
pub(crate) struct Contiguous {
    start: *mut c_void,
    size: usize,
    policy: CachePolicy,
}

// SAFETY: The memory belongs to no thread.
unsafe impl Send for Contiguous {}
// SAFETY: Nothing gives access to the bytes.
unsafe impl Sync for Contiguous {}

impl Contiguous {
    /// Allocates `size` bytes, a multiple of the page size.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; what setting the policy gives.
    pub(crate) fn new(size: usize, policy: CachePolicy) -> Result<Self> {
        let flags = bindings::GFP_KERNEL | bindings::__GFP_ZERO | bindings::__GFP_NOWARN;
        // SAFETY: Any size and flags may be asked for.
        let start = unsafe { bindings::alloc_pages_exact_noprof(size, flags) };
        if start.is_null() {
            return Err(ENOMEM);
        }
        // INVARIANT: Just allocated. With the policy from the first page on that has it, as setting
        // it may fail half way.
        let memory = Self {
            start,
            size,
            policy,
        };
        let (address, pages) = memory.pages();
        // SAFETY: The pages are ours alone and nobody uses them yet.
        to_result(unsafe {
            match policy {
                CachePolicy::Cached => 0,
                CachePolicy::WriteCombining => set_memory_wc(address, pages),
                CachePolicy::Uncached | CachePolicy::Device => set_memory_uc(address, pages),
            }
        })?;
        Ok(memory)
    }

    /// Size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Address of the first byte in the kernel's linear mapping, for who maps it to nobody else.
    pub(crate) fn start(&self) -> *mut c_void {
        self.start
    }

    /// Cache policy.
    pub(crate) fn policy(&self) -> CachePolicy {
        self.policy
    }

    /// Page frame number at `offset`, from where `length` bytes are in the memory.
    ///
    /// # Errors
    ///
    /// `EINVAL` if they are not.
    pub(crate) fn frame(&self, offset: usize, length: usize) -> Result<usize> {
        if offset.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariants this is an address of the kernel's linear mapping.
        let start = unsafe { ringbar_virt_to_phys(self.start) } as usize;
        Ok((start + offset) >> PAGE_SHIFT)
    }

    fn pages(&self) -> (c_ulong, c_int) {
        (self.start as c_ulong, (self.size / PAGE_SIZE) as c_int)
    }
}

impl Drop for Contiguous {
    fn drop(&mut self) {
        let (address, pages) = self.pages();
        if self.policy != CachePolicy::Cached {
            // SAFETY: The pages are ours, and no mapping of them is left.
            let restored = unsafe { set_memory_wb(address, pages) };
            if restored != 0 {
                pr_warn!(
                    "{} pages keep their cache policy and are kept for good\n",
                    pages
                );
                return;
            }
        }
        // SAFETY: By the type invariants.
        unsafe { bindings::free_pages_exact(self.start, self.size) };
    }
}

/// Zeroed memory in whole pages, contiguous in the kernel's address space alone.
pub(crate) struct Scattered(VVec<u8>);

impl Scattered {
    /// Allocates `size` bytes, a multiple of the page size.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(size: usize) -> Result<Self> {
        Ok(Self(VVec::zeroed(size, GFP_KERNEL)?))
    }

    /// Size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.0.len()
    }

    /// The page at `offset`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that is outside.
    pub(crate) fn page(&self, offset: usize) -> Result<*mut bindings::page> {
        if offset >= self.0.len() {
            return Err(EINVAL);
        }
        // SAFETY: The address lies in memory of vmalloc.
        Ok(unsafe { bindings::vmalloc_to_page(self.0.as_ptr().wrapping_add(offset).cast()) })
    }
}

/// Memory of the kernel that an open file owns.
pub(super) struct KernelMemory {
    pages: Pages,
    _charge: Charge,
}

enum Pages {
    Contiguous(Contiguous),
    Scattered(Scattered),
}

impl KernelMemory {
    /// Makes the memory that a call asks for, which has this number, and fills in the answer.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an unknown kind, or one that cannot have the policy; `ENOSPC` over a limit;
    /// `ENOMEM`.
    pub(super) fn create(
        owner: &Owner,
        number: u16,
        size: usize,
        policy: CachePolicy,
        create: &mut ioctl::CreateMemory,
    ) -> Result<Self> {
        let charge = owner.charge(Amount {
            buffers: 1,
            bytes: size as u64,
            ..Amount::default()
        })?;
        let (pages, kind) = match create.kind {
            ioctl::MEMORY_CONTIGUOUS => {
                let pages = Pages::Contiguous(Contiguous::new(size, policy)?);
                (pages, mmap::KIND_CONTIGUOUS)
            }
            // The kernel uses pages of vmalloc by its own mapping, which is cached.
            ioctl::MEMORY_VMALLOC if policy == CachePolicy::Cached => {
                (Pages::Scattered(Scattered::new(size)?), mmap::KIND_VMALLOC)
            }
            _ => return Err(EINVAL),
        };
        create.size = size as u64;
        create.offset = mmap::encode(kind, number);
        Ok(Self {
            pages,
            _charge: charge,
        })
    }

    /// Returns the memory, if it is contiguous.
    pub(super) fn contiguous(&self) -> Option<&Contiguous> {
        match &self.pages {
            Pages::Contiguous(memory) => Some(memory),
            Pages::Scattered(_) => None,
        }
    }

    /// Returns the memory, if it is of vmalloc.
    pub(super) fn scattered(&self) -> Option<&Scattered> {
        match &self.pages {
            Pages::Contiguous(_) => None,
            Pages::Scattered(memory) => Some(memory),
        }
    }
}
