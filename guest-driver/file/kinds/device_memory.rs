// SPDX-License-Identifier: GPL-2.0-only

//! Ranges of the device memory. The part in which a range lies decides how it is mapped.

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
        cache::CachePolicy,
        kind::Kind,
        mappable::{
            IoMemory,
            IoOnFault, //
        },
        setup::Fork, //
    },
};
use kernel::prelude::*;

/// A range of the write-combining or the uncached part.
pub(crate) enum DeviceMemory {}
/// A range of the lazy part. Always write-combining: `vmf_insert_pfn` takes the policy that the
/// driver has reserved for the whole part (`device/resources.rs`).
pub(crate) enum LazyDeviceMemory {}

impl Kind for DeviceMemory {
    type File = OpenFile;
    type Memory<'a> = IoMemory<'a>;
    const NUMBER: u8 = mmap::KIND_DEVICE_MEMORY;
    const NAME: &'static str = "device-memory";
    const FORK: Fork = Fork::Inherited;

    fn memory<'a>(
        device: &'a Device<'_>,
        objects: &'a Objects,
        index: u16,
    ) -> Result<IoMemory<'a>> {
        let owned = objects.memory.range(device, index)?;
        let policy = match owned.part() {
            MemoryPart::WriteCombining => CachePolicy::WriteCombining,
            MemoryPart::Uncached => CachePolicy::Uncached,
            // As for a range that is not there: it is not one of this kind.
            MemoryPart::Lazy => return Err(EPERM),
        };
        let range = device.memory_range(owned.range())?;
        Ok(IoMemory::new(range, policy))
    }

    fn check_debugger(device: &Device<'_>) -> Result {
        device.check_not_lost()
    }
}

impl Kind for LazyDeviceMemory {
    type File = OpenFile;
    type Memory<'a> = IoOnFault<'a>;
    const NUMBER: u8 = mmap::KIND_LAZY_DEVICE_MEMORY;
    const NAME: &'static str = "lazy-device-memory";
    const FORK: Fork = Fork::Inherited;

    fn memory<'a>(
        device: &'a Device<'_>,
        objects: &'a Objects,
        index: u16,
    ) -> Result<IoOnFault<'a>> {
        let owned = objects.memory.range(device, index)?;
        if owned.part() != MemoryPart::Lazy {
            // As for a range that is not there: it is not one of this kind.
            return Err(EPERM);
        }
        let range = device.memory_range(owned.range())?;
        let memory = IoMemory::new(range, CachePolicy::WriteCombining);
        let serial = owned.serial();
        Ok(IoOnFault { memory, serial })
    }

    fn check_debugger(device: &Device<'_>) -> Result {
        device.check_not_lost()
    }
}
