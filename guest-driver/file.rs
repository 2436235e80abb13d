// SPDX-License-Identifier: GPL-2.0-only

//! An open file of the device's node.

pub(crate) mod ioctls;
pub(crate) mod kinds;
mod objects;
pub(crate) mod shared;

use crate::{
    device::{
        gate::Gate,
        limits::User,
        owner::Owner,
        Device, //
    },
    memory::{
        owned::OwnedMemory,
        owner::MemoryOwner, //
    },
    mmap::{
        mapped_file::MappedFile,
        mappings::Mappings, //
    },
    queue::{
        owned::OwnedQueues,
        owner::QueueOwner,
        wakeups::Wakeups, //
    },
};
use kernel::{
    bindings,
    fs::File,
    new_mutex,
    prelude::*,
    sync::{
        poll::PollTable,
        Arc,
        ArcBorrow,
        Mutex, //
    },
    task::Pid,
    types::ForeignOwnable, //
};
use objects::Objects;
use shared::Shared;

/// An open file of the device's node.
#[pin_data]
pub(crate) struct OpenFile {
    shared: Arc<Shared>,
    /// The user of the process that opened it pays for everything that the file takes.
    owner: Owner,
    /// Process that opened it, for people who look at debugfs.
    opener: Pid,
    /// Taken inside `mmap_lock`, so never held across a copy from or to the process.
    #[pin]
    objects: Mutex<Objects>,
    /// Its mappings, which are revoked when the device goes.
    #[pin]
    mappings: Mappings,
}

impl OpenFile {
    /// Returns a file that owns nothing yet, with a domain from [`shared::free_domain`].
    ///
    /// # Safety
    ///
    /// [`OpenFile::mappings`] must not be used after `file` was released.
    pub(crate) unsafe fn new(shared: Arc<Shared>, domain: u32, file: &File) -> Result<Arc<Self>> {
        // SAFETY: The caller promises not to use the mappings after `file` was released.
        let mappings = unsafe { Mappings::new(file) };
        let user = User::new(shared.accounts.clone(), file.cred().euid());
        Arc::pin_init(
            try_pin_init!(Self {
                shared,
                owner: Owner::new(user, domain),
                opener: current!().group_leader().pid(),
                objects <- new_mutex!(Objects::default()),
                mappings <- mappings,
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the part of its device that it shares with other files.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns the process that opened it.
    pub(crate) fn opener(&self) -> Pid {
        self.opener
    }

    /// Takes the objects that the file owns out of it.
    pub(crate) fn take_objects(&self) -> Objects {
        core::mem::take(&mut *self.objects.lock())
    }

    /// Ends the use of the device: stops queues, closes windows, frees memory.
    ///
    /// If the device goes, this is left to the binding, for which the file must stay in the list.
    pub(crate) fn release(&self) {
        let _ = self.shared.gate().with(|device| {
            self.take_objects().release(device, &self.shared.wakeups);
            Ok(())
        });
    }

    /// Returns the events of `poll` for which the file is ready: readable while a queue has
    /// completions that the process has not taken, hung up once the device is gone.
    pub(crate) fn poll(&self, file: &File, table: PollTable<'_>) -> u32 {
        // First register, then look. Otherwise a completion in between would wake no poller.
        table.register_wait(file, &self.shared.wakeups.pollers);
        let ready = self.with_queues(|device, queues| queues.poll(device));
        ready.unwrap_or(bindings::POLLERR | bindings::POLLHUP)
    }
}

impl MappedFile for OpenFile {
    type Device<'bound> = Device<'bound>;
    type Objects = Objects;

    fn mappings(&self) -> &Mappings {
        &self.mappings
    }

    fn with_objects<R>(&self, f: impl FnOnce(&Device<'_>, &mut Objects) -> Result<R>) -> Result<R> {
        let gate = self.shared.gate();
        gate.with(|device| f(device, &mut self.objects.lock()))
    }

    unsafe fn borrow<'a>(file: *mut bindings::file) -> ArcBorrow<'a, Self> {
        // SAFETY: As the caller promises, the node's `open` put the pointer there, and only its
        // `release` takes it out.
        unsafe { <Arc<Self> as ForeignOwnable>::borrow((*file).private_data) }
    }
}

impl QueueOwner for OpenFile {
    fn wakeups(&self) -> &Arc<Wakeups> {
        &self.shared.wakeups
    }

    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn lock_queues<R>(&self, f: impl FnOnce(&mut OwnedQueues) -> R) -> R {
        f(&mut self.objects.lock().queues)
    }

    fn revoke_region(&self, offset: u64, length: usize) {
        self.mappings.revoke_region(offset, length);
    }
}

impl MemoryOwner for OpenFile {
    fn gate(&self) -> &Gate {
        self.shared.gate()
    }

    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn lock_memory<R>(&self, f: impl FnOnce(&mut OwnedMemory) -> R) -> R {
        f(&mut self.objects.lock().memory)
    }

    fn revoke_region(&self, offset: u64, length: usize) {
        self.mappings.revoke_region(offset, length);
    }
}
