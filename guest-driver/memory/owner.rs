// SPDX-License-Identifier: GPL-2.0-only

//! The edge of the memory: an open file, as the calls on its memory see it.

use super::owned::OwnedMemory;
use crate::device::{
    owner::Owner,
    Device,
    Gate, //
};
use kernel::prelude::*;

/// An open file that owns memory.
pub(crate) trait MemoryOwner {
    /// Returns the way to the bound device.
    fn gate(&self) -> &Gate;

    /// Returns the owner of its windows.
    fn owner(&self) -> &Owner;

    /// Calls `f` with the memory, under a lock. For callers that are inside the gate: otherwise the
    /// file may have lost its memory to the end of the binding.
    fn lock_memory<R>(&self, f: impl FnOnce(&mut OwnedMemory) -> R) -> R;

    /// Takes the pages of a region out of all mappings. Not inside [`MemoryOwner::lock_memory`],
    /// whose lock the mmap hook takes.
    fn revoke_region(&self, offset: u64, length: usize);

    /// Calls `f` with the bound device and the memory.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device is gone; the errors of `f`.
    fn with_memory<R>(
        &self,
        f: impl FnOnce(&Device<'_>, &mut OwnedMemory) -> Result<R>,
    ) -> Result<R> {
        self.gate()
            .with(|device| self.lock_memory(|memory| f(device, memory)))
    }
}
