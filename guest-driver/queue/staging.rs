// SPDX-License-Identifier: GPL-2.0-only

//! Memory of the kernel through which a transfer goes, and its window.

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
        setup::Segment, //
    },
    memory::{
        streaming::Streaming,
        window::Window, //
    },
};
use kernel::prelude::*;

/// Bytes of a piece, and of the memory that a queue has for it.
pub(super) const PIECE: usize = 64 << 10;

/// Memory through which pieces go, and its window. Must be given to [`Staging::close`] while the
/// device is there.
pub(crate) struct Staging {
    window: Window,
    memory: Streaming,
    _charge: Charge,
}

impl Staging {
    /// Makes the memory and opens its window.
    ///
    /// # Errors
    ///
    /// `ENOSPC` over a limit, or if all windows are taken; `ENOMEM`; `EIO` if the device refuses.
    pub(super) fn new(device: &Device<'_>, owner: &Owner) -> Result<Self> {
        let charge = owner.charge(Amount {
            windows: 1,
            bytes: PIECE as u64,
            ..Amount::default()
        })?;
        let memory = Streaming::new(device.pdev().as_ref(), PIECE)?;
        let segment = Segment {
            address: memory.dma_address(),
            length: memory.size() as u64,
        };
        let rights = ioctl::RIGHT_READ | ioctl::RIGHT_WRITE;
        let target = WindowTarget::Memory(core::slice::from_ref(&segment));
        match Window::open(device, owner, rights, target) {
            Ok(window) => Ok(Self {
                window,
                memory,
                _charge: charge,
            }),
            Err(error) => {
                // A lost device may open the window when it comes back.
                device.keep_if_lost(PIECE, memory);
                Err(error)
            }
        }
    }

    /// Returns the number of the window.
    pub(super) fn window(&self) -> u16 {
        self.window.number()
    }

    /// Returns the memory.
    pub(super) fn memory(&mut self) -> &mut Streaming {
        &mut self.memory
    }

    /// Closes the window and frees the memory.
    ///
    /// # Errors
    ///
    /// `EIO` if the device may still write the memory, which is then never freed.
    pub(super) fn close(self, device: &Device<'_>) -> Result {
        let closed = self.window.close(device);
        if closed.is_err() {
            self.keep(device);
        }
        closed
    }

    /// Keeps the memory of a device that may still write it.
    pub(super) fn keep(self, device: &Device<'_>) {
        self.window.keep(device, PIECE, self.memory);
    }
}
