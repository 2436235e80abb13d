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

/// The objects that an open file owns in the device. Empty once the device is gone.
#[derive(Default)]
pub(crate) struct Objects {
    pub(super) queues: OwnedQueues,
    pub(super) memory: OwnedMemory,
}

impl Objects {
    /// Gives everything back to a device that is there. The device counts what it may still write.
    pub(crate) fn release(self, device: &Device<'_>, wakeups: &Wakeups) {
        // Queues first: their descriptors use the windows on the memory.
        self.queues.release(device, wakeups);
        self.memory.release(device);
    }

    /// Keeps the memory of a device that does not answer and may still write it.
    pub(crate) fn keep_for_good(self, device: &Device<'_>) {
        self.queues.keep_for_good(device);
        self.memory.keep_for_good(device);
    }
}
