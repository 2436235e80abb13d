// SPDX-License-Identifier: GPL-2.0-only

//! The calls of the mapping layer: a file is opened, used and released, and the device goes.

use super::{
    ioctls,
    kinds,
    objects::Objects,
    shared::{
        self,
        Shared, //
    },
    OpenFile, //
};
use crate::{
    device::{
        limits::User,
        owner::Owner,
        Device,
        Ringbar, //
    },
    mapping::{
        driver::{
            Driver,
            Opening, //
        },
        map::Entry, //
    },
    queue::owner::QueueOwner, //
};
use kernel::{
    bindings,
    fs::File,
    prelude::*,
    sync::poll::PollTable,
    uaccess::UserPtr, //
};

impl Driver for Ringbar {
    type Module = crate::LocalModule;
    type Shared = Shared;
    /// The user of the process that opened the file pays for everything that the file takes.
    type File = Owner;
    type Objects = Objects;

    const NODE: &'static str = "ringbar";
    const KINDS: &'static [Entry<OpenFile>] = kinds::KINDS;

    fn open(opening: &Opening<'_, '_, Self>) -> Result<(Owner, Objects)> {
        let accounts = opening.shared.accounts.clone();
        let user = User::new(accounts, opening.file.cred().euid());
        let owner = Owner::new(user, shared::free_domain(opening.others));
        Ok((owner, Objects::default()))
    }

    fn ioctl(file: &OpenFile, number: u32, argument: UserPtr) -> Result<isize> {
        ioctls::ioctl(file, number, argument)
    }

    /// Returns the events of `poll` for which the file is ready: readable while a queue has
    /// completions that the process has not taken, hung up once the device is gone.
    fn poll(opened: &OpenFile, file: &File, table: PollTable<'_>) -> u32 {
        // First register, then look. Otherwise a completion in between would wake no poller.
        table.register_wait(file, &opened.wakeups().pollers);
        let ready = opened.with_queues(|device, queues| queues.poll(device));
        ready.unwrap_or(bindings::POLLERR | bindings::POLLHUP)
    }

    /// Stops queues, closes windows, frees memory.
    fn release(device: &Device<'_>, shared: &Shared, objects: Objects) {
        objects.release(device, &shared.wakeups);
    }

    fn dismiss(shared: &Shared) {
        shared.wakeups.dismiss();
        shared.recovery.end();
    }

    fn end(device: &Device<'_>, objects: &mut dyn Iterator<Item = Objects>) {
        let quiet = device.quiesce();
        for objects in objects {
            match quiet {
                Ok(()) => drop(objects),
                Err(_) => objects.keep_for_good(device),
            }
        }
        // debugfs showed this number too, but goes with the device.
        match device.kept().bytes() {
            0 => {}
            bytes => dev_warn!(device.pdev(), "{} bytes are never freed\n", bytes),
        }
    }

    #[cfg(sabotage)]
    fn drop_file(file: kernel::sync::Arc<OpenFile>) {
        crate::sabotage::at_release(file);
    }
}
