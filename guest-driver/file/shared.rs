// SPDX-License-Identifier: GPL-2.0-only

//! The part of a device that its open files share.

use super::OpenFile;
use crate::{
    device::{
        gate::Gate,
        limits::Accounts, //
    },
    queue::wakeups::Wakeups, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
};

/// Outlives the binding of driver and device: open files hold it.
#[pin_data]
pub(crate) struct Shared {
    /// Queues of the files, and the way to the device.
    pub(crate) wakeups: Arc<Wakeups>,
    /// Files that are open. Taken before anything of a file, never under `mmap_lock`.
    #[pin]
    pub(crate) files: Mutex<KVec<Arc<OpenFile>>>,
    /// The share of the device that each user has.
    pub(crate) accounts: Arc<Accounts>,
}

/// Protection domains are numbered through, and come round again after 2^32 opens.
static NEXT_DOMAIN: Atomic<u32> = Atomic::new(1);

impl Shared {
    /// Returns the shared part of a device that is not there yet.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                wakeups: Wakeups::new()?,
                files <- new_mutex!(KVec::new()),
                accounts: Accounts::new()?,
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the way to the bound device.
    pub(crate) fn gate(&self) -> &Gate {
        &self.wakeups.gate
    }

    /// Removes a file that is being released.
    pub(crate) fn remove(&self, opened: &Arc<OpenFile>) {
        self.files
            .lock()
            .retain(|other| !Arc::ptr_eq(other, opened));
    }
}

/// Returns a protection domain that none of the device's open files has.
pub(crate) fn free_domain(files: &[Arc<OpenFile>]) -> u32 {
    loop {
        let domain = NEXT_DOMAIN.fetch_add(1, Relaxed);
        if !files.iter().any(|file| file.owner.domain() == domain) {
            return domain;
        }
    }
}
