// SPDX-License-Identifier: GPL-2.0-only

//! The calls that make and destroy memory of an open file. Those on further windows are in
//! `window_ioctls.rs`.

use super::{
    buffer::{
        checked_size,
        Buffer,
        MAX_BUFFER, //
    },
    device_memory::DeviceMemory,
    kernel_memory::KernelMemory,
    owner::MemoryOwner,
};
use crate::{
    interface::{
        ioctl,
        layout::MemoryPart, //
    },
    mapping::cache::CachePolicy,
};
use kernel::prelude::*;

/// Makes a DMA buffer; see [`ioctl::CREATE_BUFFER`].
pub(crate) fn create_buffer(file: &impl MemoryOwner, create: &mut ioctl::CreateBuffer) -> Result {
    file.with_memory(|device, memory| {
        // First room in the list. Otherwise a new buffer might not find an entry.
        memory.buffers.reserve(1, GFP_KERNEL)?;
        let buffer = Buffer::create(device, file.owner(), create)?;
        let pushed = memory.buffers.push_within_capacity(buffer);
        pushed.map_err(|_| ENOMEM)
    })
}

/// Takes a range of the device memory; see [`ioctl::CREATE_DEVICE_MEMORY`].
pub(crate) fn create_device_memory(
    file: &impl MemoryOwner,
    create: &mut ioctl::CreateDeviceMemory,
) -> Result {
    let part = match create.part {
        ioctl::PART_WRITE_COMBINING => MemoryPart::WriteCombining,
        ioctl::PART_UNCACHED => MemoryPart::Uncached,
        ioctl::PART_LAZY => MemoryPart::Lazy,
        _ => return Err(EINVAL),
    };
    if create.reserved != 0 {
        return Err(EINVAL);
    }
    file.with_memory(|device, memory| {
        memory.ranges.reserve(1, GFP_KERNEL)?;
        let range = DeviceMemory::create(device, file.owner(), part, create)?;
        let pushed = memory.ranges.push_within_capacity(range);
        pushed.map_err(|_| ENOMEM)
    })
}

/// Makes memory of the kernel to map; see [`ioctl::CREATE_MEMORY`].
pub(crate) fn create_memory(file: &impl MemoryOwner, create: &mut ioctl::CreateMemory) -> Result {
    let policy = match create.policy {
        ioctl::POLICY_CACHED => CachePolicy::Cached,
        ioctl::POLICY_WRITE_COMBINING => CachePolicy::WriteCombining,
        ioctl::POLICY_UNCACHED => CachePolicy::Uncached,
        _ => return Err(EINVAL),
    };
    let size = checked_size(create.size, MAX_BUFFER)?;
    // The memory does not need the device, but its mappings go with the device like all others.
    file.with_memory(|_device, memory| {
        let number = u16::try_from(memory.kernel.len()).map_err(|_| ENOSPC)?;
        memory.kernel.reserve(1, GFP_KERNEL)?;
        let made = KernelMemory::create(file.owner(), number, size, policy, create)?;
        let pushed = memory.kernel.push_within_capacity(made);
        pushed.map_err(|_| ENOMEM)
    })
}

/// Takes a buffer or range away, with all windows on it; see [`ioctl::DESTROY_BUFFER`].
pub(crate) fn destroy_buffer(file: &impl MemoryOwner, object: &ioctl::Object) -> Result {
    let number = number_of(object)?;
    file.gate().with(|device| {
        // Out of the list first: from here on neither a mapping nor a window can be made of it.
        let taken = file.lock_memory(|memory| memory.take(device, number))?;
        file.revoke_region(taken.offset(), taken.size());
        taken.close(device)
    })
}

/// Returns the number of the window that a call names.
///
/// # Errors
///
/// `EINVAL` if a reserved field is not 0, `ENXIO` for a number that no window has.
pub(super) fn number_of(object: &ioctl::Object) -> Result<u16> {
    if object.reserved != 0 {
        return Err(EINVAL);
    }
    object.number.try_into().map_err(|_| ENXIO)
}
