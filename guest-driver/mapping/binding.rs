// SPDX-License-Identifier: GPL-2.0-only

//! The time for which driver and device are bound, as files see it: from an open gate to a closed
//! one.

use super::{
    driver::Driver,
    file::Files,
    mapped_file::MappedFile, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// Keeps the gate open. Dropping it takes back everything that files have of the device.
pub(crate) struct Binding<'bound, D: Driver> {
    files: Arc<Files<D>>,
    device: &'bound D::Device<'bound>,
}

impl<'bound, D: Driver> Binding<'bound, D> {
    /// Opens the gate of `files` to `device`.
    ///
    /// # Errors
    ///
    /// `EBUSY` if `files` had a device before.
    ///
    /// # Safety
    ///
    /// The value must be dropped, not leaked, before `device` is.
    pub(crate) unsafe fn new(
        files: Arc<Files<D>>,
        device: &'bound D::Device<'bound>,
    ) -> Result<Self> {
        // SAFETY: The caller promises that this is dropped before the device is, which closes the
        // gate.
        unsafe { files.gate().open(device) }?;
        Ok(Self { files, device })
    }
}

impl<D: Driver> Binding<'static, D> {
    /// Opens the gate of `files` to a device that is always there.
    ///
    /// # Errors
    ///
    /// `EBUSY` if `files` had a device before.
    pub(crate) fn to_static(
        files: Arc<Files<D>>,
        device: &'static D::Device<'static>,
    ) -> Result<Self> {
        // SAFETY: The device is never dropped, so the gate may be open for ever.
        unsafe { Self::new(files, device) }
    }
}

impl<D: Driver> Drop for Binding<'_, D> {
    /// Ends all use of the device: calls give ENODEV, waiters wake, and touching a mapping gives
    /// SIGBUS. Memory is freed last, when neither a process nor the device can reach it.
    fn drop(&mut self) {
        // The lock of the list first. A file that is released from here on finds the gate closed
        // and keeps its objects. It waits for the lock to leave the list, so it is still there when
        // its objects are taken below. Freed earlier, they could still be written by the device.
        let files = self.files.open.lock();
        self.files.gate().close();
        D::dismiss(self.files.shared());
        files.iter().for_each(|file| file.mappings().revoke());
        let mut objects = files.iter().map(|file| file.take_objects());
        D::end(self.device, &mut objects);
    }
}
