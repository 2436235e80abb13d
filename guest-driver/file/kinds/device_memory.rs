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
    mapping::{
        access::Access,
        cache::CachePolicy,
        kind::{
            FaultKind,
            Kind,
            Target, //
        },
        mappable::{
            IoMemory,
            IoOnFault,
            Mappable, //
        },
        setup::Fork, //
    },
};
use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};

/// A range of the write-combining or the uncached part.
pub(crate) enum DeviceMemory {}
/// A range of the lazy part. Write-combining, for which the driver has reserved the part.
pub(crate) enum LazyDeviceMemory {}

impl Kind for DeviceMemory {
    type File = OpenFile;
    type Memory<'a> = IoMemory;
    const NUMBER: u8 = mmap::KIND_DEVICE_MEMORY;
    const NAME: &'static str = "device-memory";
    const FORK: Fork = Fork::Inherited;

    fn memory(device: &Device<'_>, objects: &Objects, index: u16) -> Result<IoMemory> {
        range(device, objects, index, false)
    }

    fn access(
        device: &Device<'_>,
        objects: &Objects,
        index: u16,
        offset: usize,
        access: Access<'_>,
    ) -> Result<usize> {
        device.check_not_lost()?;
        Self::memory(device, objects, index)?.access(offset, access)
    }
}

impl Kind for LazyDeviceMemory {
    type File = OpenFile;
    type Memory<'a> = IoOnFault;
    const NUMBER: u8 = mmap::KIND_LAZY_DEVICE_MEMORY;
    const NAME: &'static str = "lazy-device-memory";
    const FORK: Fork = Fork::Inherited;

    fn memory(device: &Device<'_>, objects: &Objects, index: u16) -> Result<IoOnFault> {
        Ok(IoOnFault(range(device, objects, index, true)?))
    }

    fn access(
        device: &Device<'_>,
        objects: &Objects,
        index: u16,
        offset: usize,
        access: Access<'_>,
    ) -> Result<usize> {
        device.check_not_lost()?;
        Self::memory(device, objects, index)?.access(offset, access)
    }
}

impl FaultKind for LazyDeviceMemory {
    fn fault(device: &Device<'_>, objects: &Objects, index: u16, offset: usize) -> Result<Target> {
        let memory = range(device, objects, index, true)?;
        let page = memory.range.part(offset, PAGE_SIZE)?;
        Ok(Target::Frame((page.start() >> PAGE_SHIFT) as usize))
    }
}

/// Returns the range with this index, of the lazy part or of the others.
fn range(device: &Device<'_>, objects: &Objects, index: u16, lazy: bool) -> Result<IoMemory> {
    let owned = objects.memory.range(device, index, lazy)?;
    Ok(IoMemory {
        range: device.memory_range(owned.range())?,
        policy: match owned.part() {
            MemoryPart::WriteCombining | MemoryPart::Lazy => CachePolicy::WriteCombining,
            MemoryPart::Uncached => CachePolicy::Uncached,
        },
    })
}
