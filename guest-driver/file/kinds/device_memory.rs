// SPDX-License-Identifier: GPL-2.0-only

//! Ranges of the device memory. The part that a range is of decides how it is mapped.

use crate::{
    device::Device,
    file::{
        objects::Objects,
        OpenFile, //
    },
    interface::{
        layout::MemoryPart,
        mmap, //
    },
    memory::cache::CachePolicy,
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
use kernel::{
    page::PAGE_SHIFT,
    prelude::*, //
};

/// A range of the write-combining or the uncached part.
pub(crate) enum DeviceMemory {}
/// A range of the lazy part. Write-combining, for which the driver has reserved the part.
pub(crate) enum LazyDeviceMemory {}

impl Kind for DeviceMemory {
    type File = OpenFile;
    const NUMBER: u8 = mmap::KIND_DEVICE_MEMORY;
    const NAME: &'static str = "device-memory";

    fn size(device: &Device<'_>, objects: &Objects, index: u16) -> Result<usize> {
        Ok(objects.memory.range(device, index, false)?.range().length)
    }

    fn populate(
        device: &Device<'_>,
        objects: &Objects,
        index: u16,
        span: Span,
        setup: VmaSetup<'_, Fresh>,
    ) -> Result<Populated> {
        let owned = objects.memory.range(device, index, false)?;
        let policy = match owned.part() {
            MemoryPart::WriteCombining | MemoryPart::Lazy => CachePolicy::WriteCombining,
            MemoryPart::Uncached => CachePolicy::Uncached,
        };
        let range = device
            .memory_range(owned.range())?
            .part(span.offset, span.length)?;
        setup.frames(Fork::Inherited, policy).io(range)
    }

    fn access(
        device: &Device<'_>,
        objects: &Objects,
        index: u16,
        _offset: usize,
        access: Access<'_>,
    ) -> Result<usize> {
        objects.memory.range(device, index, false)?;
        shown(device, access)
    }
}

impl Kind for LazyDeviceMemory {
    type File = OpenFile;
    const NUMBER: u8 = mmap::KIND_LAZY_DEVICE_MEMORY;
    const NAME: &'static str = "lazy-device-memory";

    fn size(device: &Device<'_>, objects: &Objects, index: u16) -> Result<usize> {
        Ok(objects.memory.range(device, index, true)?.range().length)
    }

    fn populate(
        _device: &Device<'_>,
        _objects: &Objects,
        _index: u16,
        _span: Span,
        setup: VmaSetup<'_, Fresh>,
    ) -> Result<Populated> {
        Ok(setup
            .frames(Fork::Inherited, CachePolicy::WriteCombining)
            .on_fault())
    }

    fn access(
        device: &Device<'_>,
        objects: &Objects,
        index: u16,
        _offset: usize,
        access: Access<'_>,
    ) -> Result<usize> {
        objects.memory.range(device, index, true)?;
        shown(device, access)
    }
}

impl FaultKind for LazyDeviceMemory {
    fn fault(device: &Device<'_>, objects: &Objects, index: u16, offset: usize) -> Result<Target> {
        let range = device.memory_range(objects.memory.range(device, index, true)?.range())?;
        let page = range.part(offset, kernel::page::PAGE_SIZE)?;
        Ok(Target::Frame((page.start() >> PAGE_SHIFT) as usize))
    }
}

/// Carries out the access of a debugger, unless the device is lost: an access could take as long as
/// QEMU waits for the server.
fn shown(device: &Device<'_>, access: Access<'_>) -> Result<usize> {
    if device.registers().is_lost() {
        return Err(EIO);
    }
    access.io()
}
