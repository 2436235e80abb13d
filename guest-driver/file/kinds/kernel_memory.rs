// SPDX-License-Identifier: GPL-2.0-only

//! Memory of the kernel: physically contiguous, or vmalloc.

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
            FaultKind,
            Kind,
            Span,
            Target, //
        },
        setup::{
            Fork,
            Fresh,
            Populated,
            VmaSetup, //
        },
    },
};
use kernel::prelude::*;

/// Physically contiguous memory.
pub(crate) enum ContiguousMemory {}
/// Memory of vmalloc.
pub(crate) enum VmallocMemory {}

impl Kind for ContiguousMemory {
    type File = OpenFile;
    const NUMBER: u8 = mmap::KIND_CONTIGUOUS;
    const NAME: &'static str = "contiguous";

    fn size(_device: &Device<'_>, objects: &Objects, index: u16) -> Result<usize> {
        Ok(objects.memory.contiguous(index)?.size())
    }

    fn populate(
        _device: &Device<'_>,
        objects: &Objects,
        index: u16,
        span: Span,
        setup: VmaSetup<'_, Fresh>,
    ) -> Result<Populated> {
        let memory = objects.memory.contiguous(index)?;
        setup
            .frames(Fork::Inherited, memory.policy())
            .memory(memory, span.offset, span.length)
    }

    fn access(
        _device: &Device<'_>,
        objects: &Objects,
        index: u16,
        offset: usize,
        access: Access<'_>,
    ) -> Result<usize> {
        access.contiguous(objects.memory.contiguous(index)?, offset)
    }
}

impl Kind for VmallocMemory {
    type File = OpenFile;
    const NUMBER: u8 = mmap::KIND_VMALLOC;
    const NAME: &'static str = "vmalloc";

    fn size(_device: &Device<'_>, objects: &Objects, index: u16) -> Result<usize> {
        Ok(objects.memory.scattered(index)?.size())
    }

    fn populate(
        _device: &Device<'_>,
        _objects: &Objects,
        _index: u16,
        _span: Span,
        setup: VmaSetup<'_, Fresh>,
    ) -> Result<Populated> {
        Ok(setup.pages(Fork::Inherited).on_fault())
    }
}

impl FaultKind for VmallocMemory {
    fn fault(_device: &Device<'_>, objects: &Objects, index: u16, offset: usize) -> Result<Target> {
        Ok(Target::Page(objects.memory.scattered(index)?.page(offset)?))
    }
}
