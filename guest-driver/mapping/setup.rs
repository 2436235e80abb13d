// SPDX-License-Identifier: GPL-2.0-only

//! A VMA on its way to a mapping, in states that cannot be combined wrongly.
//!
//! Page tables of a VMA hold bare page frames (`VM_PFNMAP`), refcounted pages, or the choice of the
//! DMA API. The kernel stops with a bug where they are mixed. So a [`VmaSetup`] goes from [`Fresh`]
//! to one of [`Frames`], [`Pages`] and [`Dma`], once, and only that state has the calls that fill
//! it.

use super::{
    cache::CachePolicy,
    memory::{
        CoherentMemory,
        Contiguous, //
    },
    pci::IoRange, //
};
use core::marker::PhantomData;
use kernel::{
    bindings,
    error::to_result,
    mm::virt::{
        flags,
        vm_flags_t,
        VmaNew, //
    },
    page::PAGE_SHIFT,
    prelude::*, //
};

// `shim.c`: an inline function of the kernel.
#[expect(
    improper_ctypes,
    reason = "the kernel's structs are opaque to us, and only pointed to"
)]
extern "C" {
    fn mapping_io_remap_pfn_range(
        vma: *mut bindings::vm_area_struct,
        address: c_ulong,
        pfn: c_ulong,
        size: c_ulong,
        prot: bindings::pgprot_t,
    ) -> c_int;
}

/// The content of the VMA is not decided yet.
pub(crate) enum Fresh {}
/// Bare page frames: a BAR, or memory whose pages the kernel does not count.
pub(crate) enum Frames {}
/// Pages with a count of their users.
pub(crate) enum Pages {}
/// The choice of the DMA API: frames without an IOMMU, pages with one.
pub(crate) enum Dma {}

/// Whether a forked child gets the mapping too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fork {
    /// It does.
    Inherited,
    /// It does not: a ring that two processes write is broken.
    Withheld,
}

/// A VMA in the mmap hook.
pub(crate) struct VmaSetup<'v, S> {
    vma: &'v VmaNew,
    state: PhantomData<S>,
}

/// Proof that a VMA was filled, or left to faults.
pub(crate) struct Populated(());

impl<'v> VmaSetup<'v, Fresh> {
    /// Takes a VMA that the kernel has just made.
    pub(super) fn new(vma: &'v VmaNew) -> Self {
        Self {
            vma,
            state: PhantomData,
        }
    }

    /// Decides for frames. The kernel neither looks at them, nor grows the mapping, nor dumps it.
    pub(crate) fn frames(self, fork: Fork, policy: CachePolicy) -> VmaSetup<'v, Frames> {
        self.vma.set_io();
        self.set_common(fork);
        self.set_policy(policy);
        // SAFETY: A fresh VMA has no flag that `VM_PFNMAP` excludes, and no other state can set one
        // later.
        unsafe { self.set_flag(flags::PFNMAP) };
        self.next()
    }

    /// Decides for pages. The kernel may look at them, so this is not for I/O memory.
    pub(crate) fn pages(self, fork: Fork) -> VmaSetup<'v, Pages> {
        self.set_common(fork);
        // The fault handler enters the pages itself, inside the gate. Pages that it returned to the
        // kernel instead could be entered after revocation.
        self.vma.set_mixedmap();
        self.next()
    }

    /// Leaves the decision to the DMA API.
    pub(crate) fn dma(self, fork: Fork) -> VmaSetup<'v, Dma> {
        self.vma.set_io();
        self.set_common(fork);
        self.next()
    }

    fn set_common(&self, fork: Fork) {
        self.vma.set_dontexpand();
        self.vma.set_dontdump();
        if fork == Fork::Withheld {
            self.vma.set_dontcopy();
        }
    }

    fn set_policy(&self, policy: CachePolicy) {
        // SAFETY: The VMA is valid, and only the mmap hook has it yet. Faults and mprotect start
        // from this protection.
        let protection = unsafe { &mut (*self.vma.as_ptr()).vm_page_prot };
        *protection = policy.apply(*protection);
    }

    /// # Safety
    ///
    /// The flag must fit the others.
    unsafe fn set_flag(&self, flag: vm_flags_t) {
        // SAFETY: The VMA is valid, and only the mmap hook has it yet. The caller promises that the
        // flag fits the others.
        unsafe { (*self.vma.as_ptr()).__bindgen_anon_2.vm_flags |= flag };
    }

    fn next<S>(self) -> VmaSetup<'v, S> {
        VmaSetup {
            vma: self.vma,
            state: PhantomData,
        }
    }
}

impl VmaSetup<'_, Frames> {
    /// Maps all of `range`, a part of a BAR.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the VMA is not as long as the range; `ENOMEM`.
    pub(crate) fn io(self, range: IoRange<'_>) -> Result<Populated> {
        self.check_length(range.length())?;
        // SAFETY: The VMA is being made and just as long as the range, which by its invariants lies
        // in a BAR that the driver has requested. Revocation takes the frames away before the BAR
        // goes.
        to_result(unsafe {
            mapping_io_remap_pfn_range(
                self.vma.as_ptr(),
                self.vma.start(),
                (range.start() >> PAGE_SHIFT) as c_ulong,
                range.length(),
                self.protection(),
            )
        })?;
        Ok(Populated(()))
    }

    /// Maps `length` bytes of `memory` from `offset` on.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that leaves the memory or is not the VMA's length; `ENOMEM`.
    pub(crate) fn memory(
        self,
        memory: &Contiguous,
        offset: usize,
        length: usize,
    ) -> Result<Populated> {
        self.check_length(length)?;
        let frame = memory.frame(offset, length)?;
        // SAFETY: The VMA is being made and just as long as the part of the memory, which
        // `Contiguous` owns. Revocation, or the end of the file that the VMA holds, comes before
        // the memory is freed.
        to_result(unsafe {
            bindings::remap_pfn_range(
                self.vma.as_ptr(),
                self.vma.start(),
                frame,
                length,
                self.protection(),
            )
        })?;
        Ok(Populated(()))
    }

    /// Leaves the frames to the fault handler.
    pub(crate) fn on_fault(self) -> Populated {
        Populated(())
    }

    fn check_length(&self, length: usize) -> Result {
        if self.vma.end() - self.vma.start() != length {
            return Err(EINVAL);
        }
        Ok(())
    }

    fn protection(&self) -> bindings::pgprot_t {
        // SAFETY: The VMA is valid, and only the mmap hook has it yet.
        unsafe { (*self.vma.as_ptr()).vm_page_prot }
    }
}

impl VmaSetup<'_, Pages> {
    /// Leaves the pages to the fault handler.
    pub(crate) fn on_fault(self) -> Populated {
        Populated(())
    }
}

impl VmaSetup<'_, Dma> {
    /// Maps `memory` from byte `offset` on, a multiple of the page size.
    ///
    /// # Errors
    ///
    /// `ENXIO` if the VMA goes beyond the memory; `ENOMEM`.
    pub(crate) fn coherent(self, memory: &CoherentMemory, offset: usize) -> Result<Populated> {
        let raw = self.vma.as_ptr();
        // SAFETY: The VMA is valid, and only the mmap hook has it yet.
        let pgoff = unsafe { (*raw).vm_pgoff };
        // `dma_mmap_attrs` takes the VMA's offset as one in the memory. Ours holds the region too,
        // by which revocation and debugfs find the mapping, so it is put back below.
        // SAFETY: The VMA is valid, and only the mmap hook has it yet.
        unsafe { (*raw).vm_pgoff = offset >> PAGE_SHIFT };
        // SAFETY: The VMA is being made. Memory, DMA address and size belong together by the
        // invariants of `Coherent`. `CoherentMemory` holds the device for which it was allocated.
        // Revocation, or the end of the file that the VMA holds, comes before the memory is freed.
        let result = to_result(unsafe {
            bindings::dma_mmap_attrs(
                core::ptr::from_ref(memory.device()).cast_mut().cast(),
                raw,
                memory.as_mut_ptr().cast(),
                memory.dma_address(),
                memory.size(),
                0,
            )
        });
        // SAFETY: The VMA is valid, and only the mmap hook has it yet.
        unsafe { (*raw).vm_pgoff = pgoff };
        result.map(|()| Populated(()))
    }
}
