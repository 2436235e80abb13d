// SPDX-License-Identifier: GPL-2.0-only

//! Memory that an open file owns and its descriptors reach through a window.

use crate::{
    device::{
        Device,
        WindowTarget, //
    },
    interface::{
        layout::MemoryPart,
        setup, //
    },
    ranges::Range,
};
use kernel::{
    dma::Coherent,
    page::PAGE_SIZE,
    prelude::*, //
};

/// Largest buffer in bytes: the largest block that the page allocator hands out on the stock kernel.
pub(crate) const MAX_BUFFER: usize = 4 << 20;

/// A DMA buffer and the window on it.
pub(crate) struct Buffer {
    window: u16,
    memory: Coherent<[u8]>,
}

impl Buffer {
    /// Makes a buffer of at least `size` bytes.
    ///
    /// # Errors
    ///
    /// `EINVAL` for size 0, a size over [`MAX_BUFFER`] or unknown rights; `ENOMEM`; `ENOSPC` if all
    /// windows are taken; `EIO` if the device refuses.
    pub(crate) fn new(device: &Device<'_>, domain: u32, size: u64, rights: u32) -> Result<Self> {
        let size = checked_size(size, MAX_BUFFER)?;
        check_rights(rights)?;
        let memory = allocate(device, size)?;
        let target = WindowTarget::Memory(memory.dma_address(), memory.size());
        Ok(Self {
            window: device.open_window(domain, rights, target)?,
            memory,
        })
    }

    /// Number of the window.
    pub(crate) fn window(&self) -> u16 {
        self.window
    }

    /// The memory, whole pages.
    pub(crate) fn memory(&self) -> &Coherent<[u8]> {
        &self.memory
    }

    /// Closes the window and frees the memory.
    pub(crate) fn close(self, device: &Device<'_>) {
        if device.close_window(self.window).is_err() {
            // The device may still write it: better lost than overwritten.
            dev_warn!(
                device.pdev(),
                "window {}: its memory is kept for good\n",
                self.window
            );
            core::mem::forget(self);
        }
    }
}

/// A range of the device memory and the window on it.
pub(crate) struct DeviceMemory {
    window: u16,
    part: MemoryPart,
    range: Range,
}

impl DeviceMemory {
    /// Takes at least `size` bytes of `part`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for size 0 or unknown rights; `ENOSPC` if the part has no such range left, or all
    /// windows are taken; `EIO` if the device refuses.
    pub(crate) fn new(
        device: &Device<'_>,
        domain: u32,
        part: MemoryPart,
        size: u64,
        rights: u32,
    ) -> Result<Self> {
        let size = checked_size(size, usize::MAX / 2)?;
        check_rights(rights)?;
        let range = device.take_memory(part, size)?;
        match device.open_window(domain, rights, WindowTarget::DeviceMemory(range)) {
            Ok(window) => Ok(Self {
                window,
                part,
                range,
            }),
            Err(error) => {
                device.give_back_memory(part, range);
                Err(error)
            }
        }
    }

    /// Number of the window.
    pub(crate) fn window(&self) -> u16 {
        self.window
    }

    /// Which part the range belongs to.
    pub(crate) fn part(&self) -> MemoryPart {
        self.part
    }

    /// The range, whole pages.
    pub(crate) fn range(&self) -> Range {
        self.range
    }

    /// Closes the window and gives the range back.
    pub(crate) fn close(self, device: &Device<'_>) {
        if device.close_window(self.window).is_err() {
            dev_warn!(
                device.pdev(),
                "window {}: its memory is kept for good\n",
                self.window
            );
        } else {
            device.give_back_memory(self.part, self.range);
        }
    }
}

/// Zeroed coherent memory for at least `size` bytes, in whole pages, so that nothing else shares
/// a page with it.
pub(crate) fn allocate(device: &Device<'_>, size: usize) -> Result<Coherent<[u8]>> {
    let size = size.next_multiple_of(PAGE_SIZE);
    Coherent::zeroed_slice(device.pdev().as_ref(), size, GFP_KERNEL)
}

/// `size` in whole pages, if it is neither 0 nor over `limit`.
///
/// # Errors
///
/// `EINVAL` otherwise.
pub(crate) fn checked_size(size: u64, limit: usize) -> Result<usize> {
    match usize::try_from(size) {
        Ok(size) if size > 0 && size <= limit => Ok(size.next_multiple_of(PAGE_SIZE)),
        _ => Err(EINVAL),
    }
}

fn check_rights(rights: u32) -> Result {
    let known = setup::RIGHT_READ | setup::RIGHT_WRITE;
    if rights == 0 || rights & !known != 0 {
        return Err(EINVAL);
    }
    Ok(())
}
