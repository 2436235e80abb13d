// SPDX-License-Identifier: GPL-2.0-only

//! Coherent DMA memory: rings and buffers.

use crate::{
    device::Device,
    file::{
        objects::Objects,
        OpenFile, //
    },
    interface::mmap,
    mmap::{
        access::Access,
        kind::{
            Kind,
            Span, //
        },
        setup::{
            Fork,
            Fresh,
            Populated,
            VmaSetup, //
        },
    },
};
use kernel::{
    dma::Coherent,
    prelude::*, //
};

/// A queue's submission ring.
pub(crate) enum SubmissionRing {}
/// A queue's completion ring, which the device writes.
pub(crate) enum CompletionRing {}
/// A DMA buffer.
pub(crate) enum DmaBuffer {}

/// A kind that shows coherent memory of a file. The constants are those of [`Kind`].
pub(crate) trait CoherentKind {
    const NUMBER: u8;
    const NAME: &'static str;
    const WRITABLE: bool = true;
    /// Whether a forked child gets the mapping too.
    const FORK: Fork;

    /// Returns the memory with this index.
    ///
    /// # Errors
    ///
    /// As [`Kind::size`].
    fn memory<'a>(
        device: &Device<'_>,
        objects: &'a Objects,
        index: u16,
    ) -> Result<&'a Coherent<[u8]>>;
}

impl<T: CoherentKind> Kind for T {
    type File = OpenFile;
    const NUMBER: u8 = T::NUMBER;
    const NAME: &'static str = T::NAME;
    const WRITABLE: bool = T::WRITABLE;

    fn size(device: &Device<'_>, objects: &Objects, index: u16) -> Result<usize> {
        Ok(T::memory(device, objects, index)?.size())
    }

    fn populate(
        device: &Device<'_>,
        objects: &Objects,
        index: u16,
        span: Span,
        setup: VmaSetup<'_, Fresh>,
    ) -> Result<Populated> {
        let memory = T::memory(device, objects, index)?;
        setup
            .dma(T::FORK)
            .coherent(device.pdev().as_ref(), memory, span.offset)
    }

    fn access(
        device: &Device<'_>,
        objects: &Objects,
        index: u16,
        offset: usize,
        access: Access<'_>,
    ) -> Result<usize> {
        access.coherent(T::memory(device, objects, index)?, offset)
    }
}

impl CoherentKind for SubmissionRing {
    const NUMBER: u8 = mmap::KIND_SUBMISSION_RING;
    const NAME: &'static str = "submission-ring";
    const FORK: Fork = Fork::Withheld;

    fn memory<'a>(
        device: &Device<'_>,
        objects: &'a Objects,
        index: u16,
    ) -> Result<&'a Coherent<[u8]>> {
        Ok(objects.queues.mapped(device, index)?.submission())
    }
}

impl CoherentKind for CompletionRing {
    const NUMBER: u8 = mmap::KIND_COMPLETION_RING;
    const NAME: &'static str = "completion-ring";
    const WRITABLE: bool = false;
    const FORK: Fork = Fork::Withheld;

    fn memory<'a>(
        device: &Device<'_>,
        objects: &'a Objects,
        index: u16,
    ) -> Result<&'a Coherent<[u8]>> {
        Ok(objects.queues.mapped(device, index)?.completion())
    }
}

impl CoherentKind for DmaBuffer {
    const NUMBER: u8 = mmap::KIND_BUFFER;
    const NAME: &'static str = "dma-buffer";
    const FORK: Fork = Fork::Inherited;

    fn memory<'a>(
        device: &Device<'_>,
        objects: &'a Objects,
        index: u16,
    ) -> Result<&'a Coherent<[u8]>> {
        Ok(objects.memory.buffer(device, index)?.memory())
    }
}
