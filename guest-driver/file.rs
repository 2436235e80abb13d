// SPDX-License-Identifier: GPL-2.0-only

//! An open file of the device's node.

mod hooks;
mod ioctls;
mod kinds;
mod objects;
pub(crate) mod shared;

use crate::{
    device::{
        owner::Owner,
        Gate,
        Ringbar, //
    },
    mapping::{
        file,
        mapped_file::MappedFile, //
    },
    memory::{
        owned::OwnedMemory,
        owner::MemoryOwner, //
    },
    queue::{
        owned::OwnedQueues,
        owner::QueueOwner,
        wakeups::Wakeups, //
    },
};
use kernel::sync::Arc;

/// An open file of the device's node.
pub(crate) type OpenFile = file::OpenFile<Ringbar>;
/// The open files of a device.
pub(crate) type Files = file::Files<Ringbar>;

impl QueueOwner for OpenFile {
    fn wakeups(&self) -> &Arc<Wakeups> {
        &self.shared().wakeups
    }

    fn owner(&self) -> &Owner {
        self.own()
    }

    fn lock_queues<R>(&self, f: impl FnOnce(&mut OwnedQueues) -> R) -> R {
        self.lock_objects(|objects| f(&mut objects.queues))
    }

    fn revoke_region(&self, offset: u64, length: usize) {
        self.mappings().revoke_region(offset, length);
    }
}

impl MemoryOwner for OpenFile {
    fn gate(&self) -> &Gate {
        file::OpenFile::gate(self)
    }

    fn owner(&self) -> &Owner {
        self.own()
    }

    fn lock_memory<R>(&self, f: impl FnOnce(&mut OwnedMemory) -> R) -> R {
        self.lock_objects(|objects| f(&mut objects.memory))
    }

    fn revoke_region(&self, offset: u64, length: usize) {
        self.mappings().revoke_region(offset, length);
    }
}
