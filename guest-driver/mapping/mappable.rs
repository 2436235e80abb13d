// SPDX-License-Identifier: GPL-2.0-only

//! The memory that mappings show: how each sort of it fills a VMA, and is reached by a debugger.

use super::{
    access::Access,
    cache::CachePolicy,
    memory::{
        Contiguous,
        Scattered, //
    },
    pci::IoRange,
    setup::{
        Fork,
        Fresh,
        Populated,
        VmaSetup, //
    },
};
use kernel::{
    device::{
        self,
        Bound, //
    },
    dma::Coherent,
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

    /// Fills the VMA with the part `span` of it, or leaves it to
    /// [`FaultKind::fault`](super::kind::FaultKind::fault).
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

/// I/O memory, by `io_remap_pfn_range`.
pub(crate) struct IoMemory {
    pub(crate) range: IoRange,
    pub(crate) policy: CachePolicy,
}

impl Mappable for IoMemory {
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
pub(crate) struct IoOnFault(pub(crate) IoMemory);

impl Mappable for IoOnFault {
    fn size(&self) -> usize {
        self.0.size()
    }

    fn populate(self, fork: Fork, _span: Span, setup: VmaSetup<'_, Fresh>) -> Result<Populated> {
        Ok(setup.frames(fork, self.0.policy).on_fault())
    }

    fn access(self, offset: usize, access: Access<'_>) -> Result<usize> {
        self.0.access(offset, access)
    }
}

/// Coherent memory, by `dma_mmap_coherent`.
pub(crate) struct CoherentMemory<'a> {
    /// The device that the memory was allocated for.
    pub(crate) device: &'a device::Device<Bound>,
    pub(crate) memory: &'a Coherent<[u8]>,
}

impl Mappable for CoherentMemory<'_> {
    fn size(&self) -> usize {
        self.memory.size()
    }

    fn populate(self, fork: Fork, span: Span, setup: VmaSetup<'_, Fresh>) -> Result<Populated> {
        let setup = setup.dma(fork);
        setup.coherent(self.device, self.memory, span.offset)
    }

    fn access(self, offset: usize, access: Access<'_>) -> Result<usize> {
        access.coherent(self.memory, offset)
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
