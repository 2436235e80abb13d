// SPDX-License-Identifier: GPL-2.0-only

//! The part of a device that its open files share.

use crate::{
    device::{
        gate::Gate,
        limits::Accounts, //
    },
    file::OpenFile,
    wakeups::Wakeups, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
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
}
