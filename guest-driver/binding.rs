// SPDX-License-Identifier: GPL-2.0-only

//! The time for which driver and device are bound, as files see it.

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

/// Keeps the gate open. Dropping it takes everything back that files have of the device.
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
        // SAFETY: The caller promised that the gate was never open, and that this is dropped, which
        // closes it, before the device is.
        unsafe { shared.gate().open(device) };
        Self { shared, device }
    }
}

impl Drop for Binding<'_> {
    /// From here on calls give ENODEV, waiters wake, and touching a mapping gives SIGBUS. Memory is
    /// freed last, when neither a process nor the device can reach it.
    fn drop(&mut self) {
        // First: a file that is released from here on finds the gate closed, leaves what it owns,
        // and stays until that was taken. The device may still write it.
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
        // debugfs has told so, and goes with the device.
        match self.device.kept().bytes() {
            0 => {}
            bytes => dev_warn!(self.device.pdev(), "{} bytes are kept for good\n", bytes),
        }
    }
}
