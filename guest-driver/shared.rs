// SPDX-License-Identifier: GPL-2.0-only

//! What driver, interrupt handlers and open files of one device share.

use crate::{file::OpenFile, gate::Gate, limits::Accounts, waiters::Waiters, watchdog};
use kernel::{
    new_mutex, new_poll_condvar,
    prelude::*,
    sync::{
        poll::PollCondVar,
        Arc,
        Mutex, //
    },
    workqueue::{
        new_delayed_work,
        DelayedWork, //
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
    /// The queues that files have. At most as many as the device has.
    #[pin]
    pub(crate) queues: Mutex<KVec<Arc<Waiters>>>,
    /// Pollers register here. Woken when completions arrive, when a queue is started, and when the
    /// device goes.
    #[pin]
    pub(crate) pollers: PollCondVar,
    /// Runs while files have queues.
    #[pin]
    pub(crate) watchdog: DelayedWork<Self>,
}

impl Shared {
    /// The shared part of a device that is not there yet.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                gate <- Gate::new(),
                files <- new_mutex!(KVec::new()),
                accounts: Accounts::new()?,
                queues <- new_mutex!(KVec::new()),
                pollers <- new_poll_condvar!(),
                watchdog <- new_delayed_work!("ringbar watchdog"),
            }),
            GFP_KERNEL,
        )
    }

    /// A file has a queue: interrupts and the watchdog will wake who waits for it. Called inside the
    /// gate.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn add_queue(self: &Arc<Self>, waiters: Arc<Waiters>) -> Result {
        self.queues.lock().push(waiters, GFP_KERNEL)?;
        watchdog::start(self.clone());
        Ok(())
    }

    /// A file does not have a queue any more.
    pub(crate) fn remove_queue(&self, waiters: &Arc<Waiters>) {
        self.queues
            .lock()
            .retain(|other| !Arc::ptr_eq(other, waiters));
    }

    /// Wakes who waits for a queue of this vector that the device did something for. Its work is
    /// bounded by the number of queues, whatever their rings hold.
    pub(crate) fn announce(&self, vector: u32) {
        let news = self.gate.with(|device| {
            let queues = self.queues.lock();
            let of_vector = queues.iter().filter(|queue| queue.vector() == vector);
            Ok(of_vector.fold(false, |news, queue| queue.announce(device) | news))
        });
        if news == Ok(true) {
            self.pollers.notify_all();
        }
    }

    /// Wakes everybody who waits, now that the gate is closed, and ends the watchdog. May sleep.
    pub(crate) fn dismiss(self: &Arc<Self>) {
        let queues = core::mem::take(&mut *self.queues.lock());
        queues.iter().for_each(|queue| queue.rouse());
        self.pollers.notify_all();
        watchdog::stop(self);
    }
}
