// SPDX-License-Identifier: GPL-2.0-only

//! A DMA buffer that an open file owns: coherent memory with a window.

use super::window::OwnWindow;
use crate::{
    device::{
        limits::{
            Amount,
            Charge, //
        },
        owner::Owner,
        Device,
        WindowTarget, //
    },
    interface::{
        ioctl,
        mmap,
        setup::Segment, //
    },
    mapping::memory::CoherentMemory,
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// Largest buffer in bytes: the largest block that the page allocator hands out on the stock
/// kernel.
pub(crate) const MAX_BUFFER: usize = 4 << 20;

/// A DMA buffer and its own window.
pub(crate) struct Buffer {
    own: OwnWindow,
    memory: CoherentMemory,
}

impl Buffer {
    /// Makes the buffer that a call asks for, and fills in the answer.
    ///
    /// # Errors
    ///
    /// `EINVAL` for size 0, a size over [`MAX_BUFFER`] or unknown rights; `ENOSPC` over a limit, or
    /// if all windows are taken; `ENOMEM`; `EIO` if the device refuses.
    pub(super) fn create(
        device: &Device<'_>,
        owner: &Owner,
        create: &mut ioctl::CreateBuffer,
    ) -> Result<Self> {
        let size = checked_size(create.size, MAX_BUFFER)?;
        let charge = charge(owner, size)?;
        let memory = CoherentMemory::new(device.pdev().as_ref(), size)?;
        let segment = Segment {
            address: memory.dma_address(),
            length: memory.size() as u64,
        };
        let target = WindowTarget::Memory(core::slice::from_ref(&segment));
        let buffer = match OwnWindow::open(device, owner, charge, create.rights, target) {
            Ok(own) => Self { own, memory },
            Err(error) => {
                // A lost device may open the window when it comes back.
                device.keep_if_lost(memory.size(), memory);
                return Err(error);
            }
        };
        create.window = buffer.window().into();
        create.size = buffer.memory.size() as u64;
        create.offset = buffer.offset();
        Ok(buffer)
    }

    /// Returns the number of the window.
    pub(crate) fn window(&self) -> u16 {
        self.own.number()
    }

    /// Returns the rights of descriptors.
    pub(super) fn rights(&self) -> u32 {
        self.own.rights()
    }

    /// Returns the memory, whole pages.
    pub(crate) fn memory(&self) -> &CoherentMemory {
        &self.memory
    }

    /// Returns the offset at which processes map it.
    pub(super) fn offset(&self) -> u64 {
        mmap::encode(mmap::KIND_BUFFER, self.window())
    }

    /// Checks that descriptors can reach it.
    ///
    /// # Errors
    ///
    /// `EIO` if a reset has closed the window.
    pub(super) fn check(&self, device: &Device<'_>) -> Result {
        self.own.check(device)
    }

    /// Notes that the device may go on to reach it: it must never be freed.
    pub(super) fn pin(&mut self) {
        self.own.pin();
    }

    /// Closes the window and frees the memory.
    ///
    /// # Errors
    ///
    /// `EIO` if the device may still write the memory, which is then never freed.
    pub(super) fn close(self, device: &Device<'_>) -> Result {
        let closed = self.own.close(device);
        if closed.is_err() {
            self.keep(device);
        }
        closed
    }

    /// Keeps the memory of a device that may still write it.
    pub(super) fn keep(self, device: &Device<'_>) {
        self.own.keep(device, self.memory.size(), self.memory);
    }
}

/// Charges an owner for a buffer or range of `size` bytes and its window.
pub(super) fn charge(owner: &Owner, size: usize) -> Result<Charge> {
    owner.charge(Amount {
        windows: 1,
        buffers: 1,
        bytes: size as u64,
        ..Amount::default()
    })
}

/// Returns `size` in whole pages.
///
/// # Errors
///
/// `EINVAL` for 0 or over `limit`.
pub(super) fn checked_size(size: u64, limit: usize) -> Result<usize> {
    match usize::try_from(size) {
        Ok(size) if size > 0 && size <= limit => Ok(size.next_multiple_of(PAGE_SIZE)),
        _ => Err(EINVAL),
    }
}
