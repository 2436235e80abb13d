// SPDX-License-Identifier: GPL-2.0-only

//! Windows, through which the device reaches memory.

use crate::{
    device::{
        kept::Taken,
        limits::Charge,
        owner::Owner,
        ranges::Range,
        Device,
        WindowTarget, //
    },
    interface::{
        layout::MemoryPart,
        setup, //
    },
};
use kernel::prelude::*;

/// A window that the device has open. Must be given to [`Window::close`] while the device is
/// there, unless that is lost.
pub(crate) struct Window {
    number: u16,
    /// Reset generation in which it is open.
    generation: u32,
}

impl Window {
    /// Opens a window for the queues of `owner`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for no or unknown rights; `ENOSPC` if all windows are taken; `EIO` if the device
    /// refuses.
    pub(crate) fn open(
        device: &Device<'_>,
        owner: &Owner,
        rights: u32,
        target: WindowTarget<'_>,
    ) -> Result<Self> {
        check_rights(rights)?;
        let (number, generation) = device.open_window(owner.domain(), rights, target)?;
        Ok(Self { number, generation })
    }

    /// Returns its number.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Checks that the window is open: a reset closes all windows.
    ///
    /// # Errors
    ///
    /// `EIO` if not.
    pub(crate) fn check(&self, device: &Device<'_>) -> Result {
        if device.registers().is_current(self.generation) {
            Ok(())
        } else {
            Err(EIO)
        }
    }

    /// Closes the window: the device does not reach through it any more.
    ///
    /// # Errors
    ///
    /// `EIO` if the device does not confirm that.
    pub(crate) fn close(&self, device: &Device<'_>) -> Result {
        device.close_window(self.generation, self.number)
    }

    /// Keeps its number and `memory` of so many bytes, which it shows: the device may still use it.
    pub(crate) fn keep<T: Send + 'static>(self, device: &Device<'_>, bytes: usize, memory: T) {
        device.keep(self.generation, Taken::Window(self.number), bytes, memory);
    }
}

/// The window that a buffer or range has of its own, and by whose number processes name it.
pub(super) struct OwnWindow {
    window: Window,
    rights: u32,
    pinned: bool,
    _charge: Charge,
}

impl OwnWindow {
    /// Opens the window of something that `charge` pays for. Errors are those of [`Window::open`].
    pub(super) fn open(
        device: &Device<'_>,
        owner: &Owner,
        charge: Charge,
        rights: u32,
        target: WindowTarget<'_>,
    ) -> Result<Self> {
        Ok(Self {
            window: Window::open(device, owner, rights, target)?,
            rights,
            pinned: false,
            _charge: charge,
        })
    }

    /// Returns its number.
    pub(super) fn number(&self) -> u16 {
        self.window.number()
    }

    /// Returns the rights of descriptors.
    pub(super) fn rights(&self) -> u32 {
        self.rights
    }

    /// Checks that descriptors reach through the window. Errors are those of [`Window::check`].
    pub(super) fn check(&self, device: &Device<'_>) -> Result {
        self.window.check(device)
    }

    /// Records that another window on the same memory could not be closed. The device may still
    /// reach the memory, so the driver must never free it.
    pub(super) fn pin(&mut self) {
        self.pinned = true;
    }

    /// Closes the window, unless another one on the same memory could not be closed.
    ///
    /// # Errors
    ///
    /// `EIO` if the device may still reach the memory.
    pub(super) fn close(&self, device: &Device<'_>) -> Result {
        if self.pinned {
            return Err(EIO);
        }
        self.window.close(device)
    }

    /// Keeps its number and `memory` of so many bytes, which it shows: the device may still use it.
    pub(super) fn keep<T: Send + 'static>(self, device: &Device<'_>, bytes: usize, memory: T) {
        self.window.keep(device, bytes, memory);
    }

    /// Keeps its number and the range of device memory that it shows.
    pub(super) fn keep_range(self, device: &Device<'_>, part: MemoryPart, range: Range) {
        let Window { number, generation } = self.window;
        device.keep(generation, Taken::DeviceMemory(number, part, range), 0, ());
    }
}

/// Checks the rights that a window is to have.
///
/// # Errors
///
/// `EINVAL` for no or unknown rights.
pub(super) fn check_rights(rights: u32) -> Result {
    let known = setup::RIGHT_READ | setup::RIGHT_WRITE;
    if rights == 0 || rights & !known != 0 {
        return Err(EINVAL);
    }
    Ok(())
}
