// SPDX-License-Identifier: GPL-2.0-only

//! The memory that an open file owns: buffers, ranges of device memory, further windows on both,
//! and memory of the kernel.

use super::{buffer::Buffer, device_memory::DeviceMemory, kernel_memory::KernelMemory, view::View};
use crate::{
    device::{
        owner::denied,
        Device, //
    },
    mapping::memory::{
        Contiguous,
        Scattered, //
    },
};
use kernel::prelude::*;

/// The memory that an open file owns. Empty once the device is gone.
#[derive(Default)]
pub(crate) struct OwnedMemory {
    pub(super) buffers: KVec<Buffer>,
    pub(super) ranges: KVec<DeviceMemory>,
    pub(super) views: KVec<View>,
    /// Numbered by their index, as they stay until the file is closed.
    pub(super) kernel: KVec<KernelMemory>,
}

impl OwnedMemory {
    /// Returns the buffer with this window.
    ///
    /// # Errors
    ///
    /// `EPERM` if it is not this file's, `ENXIO` if the device has no such window.
    pub(crate) fn buffer(&self, device: &Device<'_>, window: u16) -> Result<&Buffer> {
        self.buffers
            .iter()
            .find(|buffer| buffer.window() == window)
            .ok_or_else(|| denied(device.limits().has_window(window)))
    }

    /// Returns the range of device memory with this window.
    ///
    /// # Errors
    ///
    /// `EPERM` if it is not this file's, `ENXIO` if the device has no such window.
    pub(crate) fn range(&self, device: &Device<'_>, window: u16) -> Result<&DeviceMemory> {
        self.ranges
            .iter()
            .find(|range| range.window() == window)
            .ok_or_else(|| denied(device.limits().has_window(window)))
    }

    /// Returns the contiguous memory with this number.
    ///
    /// # Errors
    ///
    /// `ENXIO` if the file has no such memory.
    pub(crate) fn contiguous(&self, number: u16) -> Result<&Contiguous> {
        let memory = self.kernel.get(usize::from(number));
        memory.and_then(KernelMemory::contiguous).ok_or(ENXIO)
    }

    /// Returns the vmalloc memory with this number.
    ///
    /// # Errors
    ///
    /// `ENXIO` if the file has no such memory.
    pub(crate) fn scattered(&self, number: u16) -> Result<&Scattered> {
        let memory = self.kernel.get(usize::from(number));
        memory.and_then(KernelMemory::scattered).ok_or(ENXIO)
    }

    /// Takes out the buffer or range with this window, once no view shows it.
    ///
    /// # Errors
    ///
    /// `ENXIO` if the file has none.
    pub(super) fn take(&mut self, device: &Device<'_>, window: u16) -> Result<Taken> {
        let mut buffers = self.buffers.iter();
        let buffer = buffers.position(|buffer| buffer.window() == window);
        let mut ranges = self.ranges.iter();
        let range = ranges.position(|range| range.window() == window);
        if buffer.is_none() && range.is_none() {
            return Err(ENXIO);
        }
        while let Some(index) = self.views.iter().position(|view| view.shows(window)) {
            // If it fails, the buffer or range is pinned, and not freed below.
            let _ = self.close_view(device, index);
        }
        let buffer = buffer.and_then(|index| self.buffers.remove(index).ok());
        let range = range.and_then(|index| self.ranges.remove(index).ok());
        let buffer = buffer.map(Taken::Buffer);
        buffer.or(range.map(Taken::DeviceMemory)).ok_or(ENXIO)
    }

    /// Closes the view at `index`, then gives back the memory of a process that it shows.
    ///
    /// # Errors
    ///
    /// `EIO` if the device does not confirm it: the memory that the view shows is then never freed.
    pub(super) fn close_view(&mut self, device: &Device<'_>, index: usize) -> Result {
        let view = self.views.remove(index).map_err(|_| ENXIO)?;
        view.close(device).inspect_err(|_| {
            let buffers = self.buffers.iter_mut();
            buffers
                .filter(|buffer| view.shows(buffer.window()))
                .for_each(|buffer| buffer.pin());
            let ranges = self.ranges.iter_mut();
            ranges
                .filter(|range| view.shows(range.window()))
                .for_each(|range| range.pin());
            view.keep(device);
        })
    }

    /// Gives everything back to a device that is there. The device counts what it may still write.
    pub(crate) fn release(mut self, device: &Device<'_>) {
        // Views first: one that cannot be closed pins the memory that it shows.
        while let Some(last) = self.views.len().checked_sub(1) {
            let _ = self.close_view(device, last);
        }
        for buffer in self.buffers.drain_all() {
            let _ = buffer.close(device);
        }
        for range in self.ranges.drain_all() {
            let _ = range.close(device);
        }
    }

    /// Keeps the memory of a device that does not answer and may still write it.
    pub(crate) fn keep_for_good(mut self, device: &Device<'_>) {
        self.views.drain_all().for_each(|view| view.keep(device));
        self.buffers
            .drain_all()
            .for_each(|buffer| buffer.keep(device));
        self.ranges.drain_all().for_each(|range| range.keep(device));
    }
}

/// A buffer or range that was taken out of a file's memory.
pub(super) enum Taken {
    Buffer(Buffer),
    DeviceMemory(DeviceMemory),
}

impl Taken {
    /// Returns the offset at which processes map it.
    pub(super) fn offset(&self) -> u64 {
        match self {
            Self::Buffer(buffer) => buffer.offset(),
            Self::DeviceMemory(memory) => memory.offset(),
        }
    }

    /// Returns the size in bytes, whole pages.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Buffer(buffer) => buffer.memory().size(),
            Self::DeviceMemory(memory) => memory.range().length,
        }
    }

    /// Gives it back.
    ///
    /// # Errors
    ///
    /// `EIO` if the device may still write it.
    pub(super) fn close(self, device: &Device<'_>) -> Result {
        match self {
            Self::Buffer(buffer) => buffer.close(device),
            Self::DeviceMemory(memory) => memory.close(device),
        }
    }
}
