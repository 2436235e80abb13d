// SPDX-License-Identifier: GPL-2.0-only

//! The time for which driver and device are bound, as files see it: from an open gate to a closed
//! one.

pub(crate) mod chardev;
mod debugfs;
pub(crate) mod interrupt;

use crate::{
    device::Device,
    file::shared::Shared,
    mmap::mapped_file::MappedFile, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// Keeps the gate open. Dropping it takes back everything that files have of the device.
pub(crate) struct Binding<'bound> {
    shared: Arc<Shared>,
    device: &'bound Device<'bound>,
}

impl<'bound> Binding<'bound> {
    /// Opens the gate of `shared` to `device`.
    ///
    /// # Safety
    ///
    /// The value must be dropped, not leaked, before `device` is. `shared` must be new.
    pub(crate) unsafe fn new(shared: Arc<Shared>, device: &'bound Device<'bound>) -> Self {
        // SAFETY: The caller promises that the gate was never open. It promises too that this is
        // dropped before the device is, which closes the gate.
        unsafe { shared.gate().open(device) };
        Self { shared, device }
    }
}

impl Drop for Binding<'_> {
    /// Ends all use of the device: calls give ENODEV, waiters wake, and touching a mapping gives
    /// SIGBUS. Memory is freed last, when neither a process nor the device can reach it.
    fn drop(&mut self) {
        // The lock of the list first. A file that is released from here on finds the gate closed
        // and keeps its objects. It waits for the lock to leave the list, so it is still there when
        // its objects are taken below. Freed earlier, they could still be written by the device.
        let files = self.shared.files.lock();
        self.shared.gate().close();
        self.shared.wakeups.dismiss();
        files.iter().for_each(|file| file.mappings().revoke());
        let quiet = self.device.registers().quiesce();
        for objects in files.iter().map(|file| file.take_objects()) {
            match quiet {
                Ok(()) => drop(objects),
                Err(_) => objects.keep_for_good(self.device),
            }
        }
        // debugfs showed this number too, but goes with the device.
        match self.device.kept().bytes() {
            0 => {}
            bytes => dev_warn!(self.device.pdev(), "{} bytes are never freed\n", bytes),
        }
    }
}
