// SPDX-License-Identifier: GPL-2.0-only

//! Further windows: on parts of buffers and ranges, or on memory of a process.

use super::{
    pinned::Pinned,
    user_memory::UserMemory,
    window::Window, //
};
use crate::device::{
    limits::Charge,
    owner::Owner,
    Device,
    WindowTarget, //
};
use kernel::prelude::*;

/// One more window, on parts of the memory that a file owns, or on memory of a process.
pub(crate) struct View {
    window: Window,
    /// Own windows of the buffers, or of the range, that it shows.
    shows: KVec<u16>,
    /// The memory of a process that it shows.
    memory: Option<UserMemory>,
    _charge: Charge,
}

impl View {
    /// Opens a window on `target`, parts of the memory with these own windows. Errors are those of
    /// [`Window::open`].
    pub(super) fn of_file(
        device: &Device<'_>,
        owner: &Owner,
        charge: Charge,
        target: WindowTarget<'_>,
        shows: KVec<u16>,
        rights: u32,
    ) -> Result<Self> {
        Ok(Self {
            window: Window::open(device, owner, rights, target)?,
            shows,
            memory: None,
            _charge: charge,
        })
    }

    /// Opens a window on memory of a process.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the device could reach the memory by way of a bounce buffer alone; `E2BIG`
    /// if it is in more pieces than a window has segments; `ENOMEM`; as [`Window::open`].
    pub(super) fn of_process(
        device: &Device<'_>,
        owner: &Owner,
        charge: Charge,
        pinned: Pinned,
        rights: u32,
    ) -> Result<Self> {
        let memory = UserMemory::map(pinned, device.pdev().as_ref(), rights)?;
        let segments = memory.segments(device.limits().segments as usize)?;
        match Window::open(device, owner, rights, WindowTarget::Memory(&segments)) {
            Ok(window) => Ok(Self {
                window,
                shows: KVec::new(),
                memory: Some(memory),
                _charge: charge,
            }),
            Err(error) => {
                // A lost device may open the window when it comes back.
                device.keep_if_lost(memory.size(), memory);
                Err(error)
            }
        }
    }

    /// Returns the number of its window.
    pub(super) fn number(&self) -> u16 {
        self.window.number()
    }

    /// Returns whether it shows the buffer or range with this window of its own.
    pub(super) fn shows(&self, window: u16) -> bool {
        self.shows.contains(&window)
    }

    /// Closes the window.
    ///
    /// # Errors
    ///
    /// `EIO` if the device does not confirm that.
    pub(super) fn close(&self, device: &Device<'_>) -> Result {
        self.window.close(device)
    }

    /// Keeps its window, and memory of a process pinned, as the device may go on to write it.
    pub(super) fn keep(self, device: &Device<'_>) {
        let bytes = self.memory.as_ref().map_or(0, UserMemory::size);
        self.window.keep(device, bytes, self.memory);
    }
}
