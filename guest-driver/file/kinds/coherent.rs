// SPDX-License-Identifier: GPL-2.0-only

//! Coherent DMA memory: rings and buffers.

use crate::{
    device::Device,
    file::{
        objects::Objects,
        OpenFile, //
    },
    interface::mmap,
    mapping::{
        kind::Kind,
        memory::CoherentMemory,
        setup::Fork, //
    },
};
use kernel::prelude::*;

/// A queue's submission ring.
pub(crate) enum SubmissionRing {}
/// A queue's completion ring, which the device writes.
pub(crate) enum CompletionRing {}
/// A DMA buffer.
pub(crate) enum DmaBuffer {}

impl Kind for SubmissionRing {
    type File = OpenFile;
    type Memory<'a> = &'a CoherentMemory;
    const NUMBER: u8 = mmap::KIND_SUBMISSION_RING;
    const NAME: &'static str = "submission-ring";
    const FORK: Fork = Fork::Withheld;

    fn memory<'a>(
        device: &'a Device<'_>,
        objects: &'a Objects,
        index: u16,
    ) -> Result<&'a CoherentMemory> {
        let queue = objects.queues.mapped(device, index)?;
        Ok(queue.submission())
    }
}

impl Kind for CompletionRing {
    type File = OpenFile;
    type Memory<'a> = &'a CoherentMemory;
    const NUMBER: u8 = mmap::KIND_COMPLETION_RING;
    const NAME: &'static str = "completion-ring";
    const WRITABLE: bool = false;
    const FORK: Fork = Fork::Withheld;

    fn memory<'a>(
        device: &'a Device<'_>,
        objects: &'a Objects,
        index: u16,
    ) -> Result<&'a CoherentMemory> {
        let queue = objects.queues.mapped(device, index)?;
        Ok(queue.completion())
    }
}

impl Kind for DmaBuffer {
    type File = OpenFile;
    type Memory<'a> = &'a CoherentMemory;
    const NUMBER: u8 = mmap::KIND_BUFFER;
    const NAME: &'static str = "dma-buffer";
    const FORK: Fork = Fork::Inherited;

    fn memory<'a>(
        device: &'a Device<'_>,
        objects: &'a Objects,
        index: u16,
    ) -> Result<&'a CoherentMemory> {
        let buffer = objects.memory.buffer(device, index)?;
        Ok(buffer.memory())
    }
}
