// SPDX-License-Identifier: GPL-2.0-only

//! Memory of the kernel: physically contiguous, or vmalloc.

use crate::{
    device::Device,
    file::{
        objects::Objects,
        OpenFile, //
    },
    interface::mmap,
    mapping::{
        kind::Kind,
        memory::{
            Contiguous,
            Scattered, //
        },
        setup::Fork, //
    },
};
use kernel::prelude::*;

/// Physically contiguous memory.
pub(crate) enum ContiguousMemory {}
/// Memory of vmalloc.
pub(crate) enum VmallocMemory {}

impl Kind for ContiguousMemory {
    type File = OpenFile;
    type Memory<'a> = &'a Contiguous;
    const NUMBER: u8 = mmap::KIND_CONTIGUOUS;
    const NAME: &'static str = "contiguous";
    const FORK: Fork = Fork::Inherited;

    fn memory<'a>(
        _device: &'a Device<'_>,
        objects: &'a Objects,
        index: u16,
    ) -> Result<&'a Contiguous> {
        objects.memory.contiguous(index)
    }
}

impl Kind for VmallocMemory {
    type File = OpenFile;
    type Memory<'a> = &'a Scattered;
    const NUMBER: u8 = mmap::KIND_VMALLOC;
    const NAME: &'static str = "vmalloc";
    const FORK: Fork = Fork::Inherited;

    fn memory<'a>(
        _device: &'a Device<'_>,
        objects: &'a Objects,
        index: u16,
    ) -> Result<&'a Scattered> {
        objects.memory.scattered(index)
    }
}
