// SPDX-License-Identifier: GPL-2.0-only

//! The edge of the queues: an open file, as the calls on its queues see it.

use super::{
    owned::OwnedQueues,
    wakeups::Wakeups, //
};
use crate::device::{
    owner::Owner,
    Device, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// An open file that owns queues.
pub(crate) trait QueueOwner {
    /// Returns the wake-ups of its device.
    fn wakeups(&self) -> &Arc<Wakeups>;

    /// Returns the owner of its queues.
    fn owner(&self) -> &Owner;

    /// Calls `f` with the queues, under a lock. For callers that are inside the gate: otherwise the
    /// file may have lost its queues to the end of the binding.
    fn lock_queues<R>(&self, f: impl FnOnce(&mut OwnedQueues) -> R) -> R;

    /// Takes the pages of a region out of all mappings. Not inside [`QueueOwner::lock_queues`],
    /// whose lock the mmap hook takes.
    fn revoke_region(&self, offset: u64, length: usize);

    /// Calls `f` with the bound device and the queues.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device is gone; the errors of `f`.
    fn with_queues<R>(
        &self,
        f: impl FnOnce(&Device<'_>, &mut OwnedQueues) -> Result<R>,
    ) -> Result<R> {
        self.wakeups()
            .gate
            .with(|device| self.lock_queues(|queues| f(device, queues)))
    }
}
