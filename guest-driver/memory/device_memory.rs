// SPDX-License-Identifier: GPL-2.0-only

//! A range of the device memory that an open file owns, with a window.

use super::{
    buffer::{
        charge,
        checked_size, //
    },
    window::OwnWindow,
};
use crate::{
    device::{
        owner::Owner,
        ranges::Range,
        Device,
        WindowTarget, //
    },
    interface::{
        ioctl,
        layout::MemoryPart,
        mmap, //
    },
    mapping::serial::Serial,
};
use kernel::prelude::*;

/// A range of the device memory and its own window.
pub(crate) struct DeviceMemory {
    own: OwnWindow,
    part: MemoryPart,
    range: Range,
    serial: Serial,
}

impl DeviceMemory {
    /// Takes the range of `part` that a call asks for, and fills in the answer.
    ///
    /// # Errors
    ///
    /// `EINVAL` for size 0 or unknown rights; `ENOSPC` over a limit, if the part has no such range
    /// left, or all windows are taken; `ENOMEM`; `EIO` if the device refuses.
    pub(super) fn create(
        device: &Device<'_>,
        owner: &Owner,
        part: MemoryPart,
        create: &mut ioctl::CreateDeviceMemory,
    ) -> Result<Self> {
        // At most half of the address space: the sum of two ranges cannot overflow.
        let size = checked_size(create.size, usize::MAX / 2)?;
        let charge = charge(owner, size)?;
        let range = device.take_memory(part, size)?;
        let target = WindowTarget::DeviceMemory(range);
        let own = OwnWindow::open(device, owner, charge, create.rights, target)
            .inspect_err(|_| device.give_back_memory(part, range))?;
        let memory = Self {
            own,
            part,
            range,
            serial: Serial::new(),
        };
        create.window = memory.window().into();
        create.size = range.length as u64;
        create.offset = memory.offset();
        Ok(memory)
    }

    /// Returns the number of the window.
    pub(crate) fn window(&self) -> u16 {
        self.own.number()
    }

    /// Returns the rights of descriptors.
    pub(super) fn rights(&self) -> u32 {
        self.own.rights()
    }

    /// Returns the part that the range belongs to.
    pub(crate) fn part(&self) -> MemoryPart {
        self.part
    }

    /// Returns the range, whole pages.
    pub(crate) fn range(&self) -> Range {
        self.range
    }

    /// Returns its serial number, by which the mapping layer tells it from a later range with the
    /// same window.
    pub(crate) fn serial(&self) -> Serial {
        self.serial
    }

    /// Returns the offset at which processes map it.
    pub(super) fn offset(&self) -> u64 {
        let kind = match self.part {
            MemoryPart::WriteCombining | MemoryPart::Uncached => mmap::KIND_DEVICE_MEMORY,
            MemoryPart::Lazy => mmap::KIND_LAZY_DEVICE_MEMORY,
        };
        mmap::encode(kind, self.window())
    }

    /// Checks that descriptors can reach it.
    ///
    /// # Errors
    ///
    /// `EIO` if a reset has closed the window.
    pub(super) fn check(&self, device: &Device<'_>) -> Result {
        self.own.check(device)
    }

    /// Notes that the device may still reach it, so that no other owner ever gets it.
    pub(super) fn pin(&mut self) {
        self.own.pin();
    }

    /// Closes the window and gives the range back.
    ///
    /// # Errors
    ///
    /// `EIO` if the device may still write the range, which no other owner gets then.
    pub(super) fn close(self, device: &Device<'_>) -> Result {
        let closed = self.own.close(device);
        match closed {
            Ok(()) => device.give_back_memory(self.part, self.range),
            Err(_) => self.keep(device),
        }
        closed
    }

    /// Keeps the range of a device that may still write it.
    pub(super) fn keep(self, device: &Device<'_>) {
        self.own.keep_range(device, self.part, self.range);
    }
}
