// SPDX-License-Identifier: GPL-2.0-only

//! What driver, interrupt handlers and open files of one device share.

use crate::{file::OpenFile, gate::Gate, limits::Accounts};
use kernel::{
    new_mutex, new_poll_condvar,
    prelude::*,
    sync::{
        poll::PollCondVar,
        Arc,
        Mutex, //
    },
};

/// Outlives the binding of driver and device: open files hold it.
#[pin_data]
pub(crate) struct Shared {
    /// The way to the bound device.
    #[pin]
    pub(crate) gate: Gate,
    /// Files that are open. Taken before anything of a file, never under `mmap_lock`.
    #[pin]
    pub(crate) files: Mutex<KVec<Arc<OpenFile>>>,
    /// What users have of the device.
    pub(crate) accounts: Arc<Accounts>,
    /// Taken between looking at a ring and going to sleep, and before waking: no wake-up is lost.
    #[pin]
    pub(crate) sleepers: Mutex<()>,
    /// Woken when completions arrive and when the device goes; pollers register here too.
    #[pin]
    pub(crate) wake: PollCondVar,
}

impl Shared {
    /// The shared part of a device that is not there yet.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                gate <- Gate::new(),
                files <- new_mutex!(KVec::new()),
                accounts: Accounts::new()?,
                sleepers <- new_mutex!(()),
                wake <- new_poll_condvar!(),
            }),
            GFP_KERNEL,
        )
    }

    /// Wakes everybody who waits for completions. May sleep.
    pub(crate) fn wake_all(&self) {
        drop(self.sleepers.lock());
        self.wake.notify_all();
    }
}
