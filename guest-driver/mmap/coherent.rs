// SPDX-License-Identifier: GPL-2.0-only

//! Coherent DMA memory: rings and buffers.

use super::{
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
};
use crate::{
    device::Device,
    file::Objects,
    interface::mmap, //
};
use kernel::prelude::*;

/// A queue's submission ring.
pub(crate) enum SubmissionRing {}
/// A queue's completion ring, which the device writes.
pub(crate) enum CompletionRing {}
/// A DMA buffer.
pub(crate) enum DmaBuffer {}

impl Kind for SubmissionRing {
    const NUMBER: u8 = mmap::KIND_SUBMISSION_RING;
    const NAME: &'static str = "submission-ring";

    fn size(device: &Device<'_>, objects: &Objects, index: u16) -> Result<usize> {
        Ok(objects.mapped_queue(device, index)?.submission().size())
    }

    fn populate(
        device: &Device<'_>,
        objects: &Objects,
        index: u16,
        span: Span,
        setup: VmaSetup<'_, Fresh>,
    ) -> Result<Populated> {
        let ring = objects.mapped_queue(device, index)?.submission();
        setup
            .dma(Fork::Withheld)
            .coherent(device.pdev().as_ref(), ring, span.offset)
    }
}

impl Kind for CompletionRing {
    const NUMBER: u8 = mmap::KIND_COMPLETION_RING;
    const NAME: &'static str = "completion-ring";
    const WRITABLE: bool = false;

    fn size(device: &Device<'_>, objects: &Objects, index: u16) -> Result<usize> {
        Ok(objects.mapped_queue(device, index)?.completion().size())
    }

    fn populate(
        device: &Device<'_>,
        objects: &Objects,
        index: u16,
        span: Span,
        setup: VmaSetup<'_, Fresh>,
    ) -> Result<Populated> {
        let ring = objects.mapped_queue(device, index)?.completion();
        setup
            .dma(Fork::Withheld)
            .coherent(device.pdev().as_ref(), ring, span.offset)
    }
}

impl Kind for DmaBuffer {
    const NUMBER: u8 = mmap::KIND_BUFFER;
    const NAME: &'static str = "dma-buffer";

    fn size(device: &Device<'_>, objects: &Objects, index: u16) -> Result<usize> {
        Ok(objects.buffer(device, index)?.memory().size())
    }

    fn populate(
        device: &Device<'_>,
        objects: &Objects,
        index: u16,
        span: Span,
        setup: VmaSetup<'_, Fresh>,
    ) -> Result<Populated> {
        let memory = objects.buffer(device, index)?.memory();
        setup
            .dma(Fork::Inherited)
            .coherent(device.pdev().as_ref(), memory, span.offset)
    }
}
