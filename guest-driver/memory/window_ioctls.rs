// SPDX-License-Identifier: GPL-2.0-only

//! The calls that open and close further windows.

use super::{
    ioctls::number_of,
    owned::OwnedMemory,
    owner::MemoryOwner,
    pinned::{
        Pinned,
        UserRange, //
    },
    view::View,
    window::check_rights, //
};
use crate::{
    device::{
        limits::Amount,
        ranges::Range,
        Device,
        WindowTarget, //
    },
    interface::{
        ioctl::{
            self,
            WindowPart, //
        },
        setup::Segment, //
    },
};
use core::mem::size_of;
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};
use zerocopy::{
    FromZeros,
    IntoBytes, //
};

/// Opens one more window on memory of the file; see [`ioctl::OPEN_WINDOW`].
pub(crate) fn open_window(file: &impl MemoryOwner, open: &mut ioctl::OpenWindow) -> Result {
    if open.reserved != 0 || !(1..=ioctl::MAX_PARTS).contains(&open.count) {
        return Err(EINVAL);
    }
    check_rights(open.rights)?;
    // Copied once, and before the lock is taken: the process may change them meanwhile, and a page
    // fault of it may need the lock.
    let parts = copy_parts(open.parts, open.count as usize)?;
    let mut segments = KVec::with_capacity(parts.len(), GFP_KERNEL)?;
    let mut shows = KVec::with_capacity(parts.len(), GFP_KERNEL)?;
    file.with_memory(|device, memory| {
        memory.views.reserve(1, GFP_KERNEL)?;
        let target = match range_of(memory, device, &parts, open.rights)? {
            Some((window, range)) => {
                shows.push_within_capacity(window).map_err(|_| ENOMEM)?;
                WindowTarget::DeviceMemory(range)
            }
            None => {
                for part in &parts {
                    let (window, segment) = segment_of(memory, device, part, open.rights)?;
                    shows.push_within_capacity(window).map_err(|_| ENOMEM)?;
                    segments.push_within_capacity(segment).map_err(|_| ENOMEM)?;
                }
                WindowTarget::Memory(&segments)
            }
        };
        let charge = file.owner().charge(Amount {
            windows: 1,
            ..Amount::default()
        })?;
        let view = View::of_file(device, file.owner(), charge, target, shows, open.rights)?;
        open.window = view.number().into();
        memory.views.push_within_capacity(view).map_err(|_| ENOMEM)
    })
}

/// Opens a window on memory of the process; see [`ioctl::OPEN_USER_WINDOW`].
pub(crate) fn open_user_window(
    file: &impl MemoryOwner,
    open: &mut ioctl::OpenUserWindow,
) -> Result {
    check_rights(open.rights)?;
    let range = UserRange::new(open.address, open.length, ioctl::MAX_USER_WINDOW)?;
    let charge = file.owner().charge(Amount {
        windows: 1,
        bytes: (range.pages() * PAGE_SIZE) as u64,
        ..Amount::default()
    })?;
    // Not inside the gate: a process that serves page faults of this one may never answer, and the
    // device could not go.
    let pinned = Pinned::new(range, open.rights)?;
    file.with_memory(|device, memory| {
        memory.views.reserve(1, GFP_KERNEL)?;
        let view = View::of_process(device, file.owner(), charge, pinned, open.rights)?;
        open.window = view.number().into();
        memory.views.push_within_capacity(view).map_err(|_| ENOMEM)
    })
}

/// Closes a window that one of the two calls opened; see [`ioctl::CLOSE_WINDOW`].
pub(crate) fn close_window(file: &impl MemoryOwner, object: &ioctl::Object) -> Result {
    let number = number_of(object)?;
    file.with_memory(|device, memory| {
        let mut views = memory.views.iter();
        let index = views.position(|view| view.number() == number);
        memory.close_view(device, index.ok_or(ENXIO)?)
    })
}

/// Returns the range of device memory that `parts` are, with its window, if they are one.
///
/// # Errors
///
/// `EINVAL` if the part leaves its range, `EACCES` if the range was made with fewer rights,
/// `EIO` if a reset has closed its window.
fn range_of(
    memory: &OwnedMemory,
    device: &Device<'_>,
    parts: &[WindowPart],
    rights: u32,
) -> Result<Option<(u16, Range)>> {
    let [part] = parts else {
        return Ok(None);
    };
    let mut ranges = memory.ranges.iter();
    let Some(range) = ranges.find(|range| u32::from(range.window()) == part.buffer) else {
        return Ok(None);
    };
    let whole = range.range();
    let (offset, length) = check_part(part, whole.length)?;
    check_subset(rights, range.rights())?;
    range.check(device)?;
    let shown = Range {
        start: whole.start + offset,
        length,
    };
    Ok(Some((range.window(), shown)))
}

/// Returns `part` of a DMA buffer as a segment, with the buffer's window.
///
/// # Errors
///
/// `ENXIO` if the file has no such buffer, `EINVAL` if it is device memory or the part leaves the
/// buffer, `EACCES` if the buffer was made with fewer rights, `EIO` if a reset has closed its
/// window.
fn segment_of(
    memory: &OwnedMemory,
    device: &Device<'_>,
    part: &WindowPart,
    rights: u32,
) -> Result<(u16, Segment)> {
    let mut ranges = memory.ranges.iter();
    if ranges.any(|range| u32::from(range.window()) == part.buffer) {
        return Err(EINVAL);
    }
    let mut buffers = memory.buffers.iter();
    let buffer = buffers.find(|buffer| u32::from(buffer.window()) == part.buffer);
    let buffer = buffer.ok_or(ENXIO)?;
    let (offset, length) = check_part(part, buffer.memory().size())?;
    check_subset(rights, buffer.rights())?;
    buffer.check(device)?;
    let segment = Segment {
        address: buffer.memory().dma_address() + offset as u64,
        length: length as u64,
    };
    Ok((buffer.window(), segment))
}

/// Copies the parts of a window from the process.
fn copy_parts(address: u64, count: usize) -> Result<KVec<WindowPart>> {
    let mut parts = KVec::from_elem(WindowPart::new_zeroed(), count, GFP_KERNEL)?;
    let address = UserPtr::from_addr(usize::try_from(address)?);
    UserSlice::new(address, count * size_of::<WindowPart>())
        .reader()
        .read_slice(parts.as_mut_slice().as_mut_bytes())?;
    Ok(parts)
}

/// Returns offset and length of `part`, which must lie in the `size` bytes of its whole.
///
/// # Errors
///
/// `EINVAL` if it does not, or if its length is 0.
fn check_part(part: &WindowPart, size: usize) -> Result<(usize, usize)> {
    let end = part.offset.checked_add(part.length).ok_or(EINVAL)?;
    if part.reserved != 0 || part.length == 0 || end > size as u64 {
        return Err(EINVAL);
    }
    Ok((part.offset as usize, part.length as usize))
}

/// Checks rights against those that were `given`.
///
/// # Errors
///
/// `EACCES` if `rights` are more.
fn check_subset(rights: u32, given: u32) -> Result {
    if rights & !given != 0 {
        return Err(EACCES);
    }
    Ok(())
}
