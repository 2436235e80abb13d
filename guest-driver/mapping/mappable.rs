// SPDX-License-Identifier: GPL-2.0-only

//! The memory that mappings show: how each sort of it fills a VMA, and is reached by a debugger.

use super::{
    access::Access,
    cache::CachePolicy,
    memory::{
        CoherentMemory,
        Contiguous,
        Scattered, //
    },
    pci::IoRange,
    serial::Serial,
    setup::{
        Fork,
        Fresh,
        Populated,
        VmaSetup, //
    },
};
use kernel::{
    bindings,
    dma::Coherent,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};

/// The part of a region that a mapping shows: whole pages inside the region.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    /// First byte.
    pub(crate) offset: usize,
    /// Bytes.
    pub(crate) length: usize,
}

/// Memory that a process can map.
pub(crate) trait Mappable {
    /// Returns its size in bytes.
    fn size(&self) -> usize;

    /// Fills the VMA with the part `span` of it, or leaves it to [`OnFault::page`].
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` or `ENXIO` if the part leaves the memory.
    fn populate(self, fork: Fork, span: Span, setup: VmaSetup<'_, Fresh>) -> Result<Populated>;

    /// Carries out the access of a debugger to bytes from `offset` on. Returns their number.
    ///
    /// # Errors
    ///
    /// Any error gives the debugger `EIO`.
    fn access(self, offset: usize, access: Access<'_>) -> Result<usize>;
}

/// The page that a fault handler enters.
pub(crate) enum Target {
    /// A bare page frame, by number. The memory populates by [`VmaSetup::frames`].
    Frame(usize),
    /// A page, which the mapping will hold. The memory populates by [`VmaSetup::pages`].
    Page(*mut bindings::page),
}

/// Memory that is mapped page by page, when a page is touched.
///
/// # Safety
///
/// The target of `page` is of the kind for which [`Mappable::populate`] prepares the VMA, and lies
/// in this memory, which stays until its mappings are revoked. `serial` is that of this memory
/// alone.
pub(crate) unsafe trait OnFault: Mappable {
    /// Returns its serial number.
    fn serial(&self) -> Serial;

    /// Returns the page at byte `offset`, a multiple of the page size.
    ///
    /// # Errors
    ///
    /// Any error gives the process SIGBUS.
    fn page(&self, offset: usize) -> Result<Target>;
}

/// I/O memory, by `io_remap_pfn_range`.
pub(crate) struct IoMemory<'a> {
    range: IoRange<'a>,
    policy: CachePolicy,
}

impl<'a> IoMemory<'a> {
    /// Returns the memory in `range`, to be mapped with this policy.
    pub(crate) fn new(range: IoRange<'a>, policy: CachePolicy) -> Self {
        Self { range, policy }
    }
}

impl Mappable for IoMemory<'_> {
    fn size(&self) -> usize {
        self.range.length()
    }

    fn populate(self, fork: Fork, span: Span, setup: VmaSetup<'_, Fresh>) -> Result<Populated> {
        let part = self.range.part(span.offset, span.length)?;
        setup.frames(fork, self.policy).io(part)
    }

    fn access(self, _offset: usize, access: Access<'_>) -> Result<usize> {
        access.io()
    }
}

/// I/O memory, page by page on faults. The driver has reserved the range for the policy.
pub(crate) struct IoOnFault<'a> {
    pub(crate) memory: IoMemory<'a>,
    pub(crate) serial: Serial,
}

impl Mappable for IoOnFault<'_> {
    fn size(&self) -> usize {
        self.memory.size()
    }

    fn populate(self, fork: Fork, _span: Span, setup: VmaSetup<'_, Fresh>) -> Result<Populated> {
        Ok(setup.frames(fork, self.memory.policy).on_fault())
    }

    fn access(self, offset: usize, access: Access<'_>) -> Result<usize> {
        self.memory.access(offset, access)
    }
}

// SAFETY: Returns frames, and `populate` prepares for these. The range lies in a requested BAR,
// which stays until its mappings are revoked. The serial number comes with the memory.
unsafe impl OnFault for IoOnFault<'_> {
    fn serial(&self) -> Serial {
        self.serial
    }

    fn page(&self, offset: usize) -> Result<Target> {
        let page = self.memory.range.part(offset, PAGE_SIZE)?;
        Ok(Target::Frame((page.start() >> PAGE_SHIFT) as usize))
    }
}

/// Mapped by `dma_mmap_coherent`.
impl Mappable for &CoherentMemory {
    fn size(&self) -> usize {
        let memory: &Coherent<[u8]> = self;
        memory.size()
    }

    fn populate(self, fork: Fork, span: Span, setup: VmaSetup<'_, Fresh>) -> Result<Populated> {
        setup.dma(fork).coherent(self, span.offset)
    }

    fn access(self, offset: usize, access: Access<'_>) -> Result<usize> {
        access.coherent(self, offset)
    }
}

impl Mappable for &Contiguous {
    fn size(&self) -> usize {
        Contiguous::size(self)
    }

    fn populate(self, fork: Fork, span: Span, setup: VmaSetup<'_, Fresh>) -> Result<Populated> {
        let setup = setup.frames(fork, self.policy());
        setup.memory(self, span.offset, span.length)
    }

    fn access(self, offset: usize, access: Access<'_>) -> Result<usize> {
        access.contiguous(self, offset)
    }
}

impl Mappable for &Scattered {
    fn size(&self) -> usize {
        Scattered::size(self)
    }

    fn populate(self, fork: Fork, _span: Span, setup: VmaSetup<'_, Fresh>) -> Result<Populated> {
        Ok(setup.pages(fork).on_fault())
    }

    /// Refuses: the kernel counts these pages, and reaches them by itself.
    fn access(self, _offset: usize, _access: Access<'_>) -> Result<usize> {
        Err(EPERM)
    }
}

// SAFETY: Returns pages of its own memory, and `populate` prepares for pages. Each memory draws its
// serial number when it is allocated.
unsafe impl OnFault for &Scattered {
    fn serial(&self) -> Serial {
        Scattered::serial(self)
    }

    fn page(&self, offset: usize) -> Result<Target> {
        Ok(Target::Page(Scattered::page(self, offset)?))
    }
}
