// SPDX-License-Identifier: GPL-2.0-only

//! The objects that an open file owns.

use crate::{
    device::Device,
    memory::owned::OwnedMemory,
    queue::{
        owned::OwnedQueues,
        wakeups::Wakeups, //
    },
};

/// The device's objects that an open file owns. Empty once the device is gone.
#[derive(Default)]
pub(crate) struct Objects {
    pub(super) queues: OwnedQueues,
    pub(super) memory: OwnedMemory,
}

impl Objects {
    /// Gives everything back to a device that still answers. [`Device`] counts memory that the
    /// hardware may still write.
    pub(crate) fn release(self, device: &Device<'_>, wakeups: &Wakeups) {
        // Queues first: their descriptors use the windows on the memory.
        self.queues.release(device, wakeups);
        self.memory.release(device);
    }

    /// Never frees memory that a device which does not answer may still write.
    pub(crate) fn keep_for_good(self, device: &Device<'_>) {
        self.queues.keep_for_good(device);
        self.memory.keep_for_good(device);
    }
}
