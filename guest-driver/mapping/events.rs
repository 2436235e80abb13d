// SPDX-License-Identifier: GPL-2.0-only

//! A count of a device's events, for which threads wait.
//!
//! They wait outside of the gate: inside, the end of the binding would wait for them.

use super::{
    arguments::End,
    deadline::Deadline,
    signals::Signals, //
};
use kernel::{
    new_condvar,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full, //
        },
        Arc,
        CondVar,
        Mutex, //
    }, //
};

/// A count of events, and the threads that wait for it. Outlives the binding of driver and device.
#[pin_data]
pub(crate) struct Events {
    count: Atomic<u64>,
    /// Whether the device is gone.
    #[pin]
    gone: Mutex<bool>,
    #[pin]
    wake: CondVar,
}

impl Events {
    /// Returns a count of 0.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                count: Atomic::new(0),
                gone <- new_mutex!(false),
                wake <- new_condvar!(),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the number of events.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Acquire)
    }

    /// Counts an event. May be called in a hard interrupt; the caller has [`Events::wake`] called
    /// afterwards.
    pub(crate) fn count_one_more(&self) {
        self.count.fetch_add(1, Full);
    }

    /// Wakes the waiters for the events that were counted.
    pub(crate) fn wake(&self) {
        // A waiter that saw the old count has the lock until it sleeps, so it hears this.
        drop(self.gone.lock());
        self.wake.notify_all();
    }

    /// Waits until there were `count` events.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device is gone; `ETIMEDOUT`; as [`Signals::sleep`].
    pub(crate) fn wait(&self, count: u64, deadline: &Deadline, signals: Signals) -> Result {
        loop {
            // First: the event may come with the end of the time.
            let expired = deadline.is_over();
            let gone = self.gone.lock();
            if *gone {
                return Err(ENODEV);
            }
            if self.count() >= count {
                return Ok(());
            }
            if expired {
                return Err(ETIMEDOUT);
            }
            signals.sleep(&self.wake, gone, deadline)?;
        }
    }

    /// Waits until there were `count` events, and sets it to how many there were in any case.
    ///
    /// # Errors
    ///
    /// As [`Events::wait`], with [`Signals::Any`].
    pub(crate) fn wait_and_count(&self, count: &mut u64, deadline: &Deadline) -> Result<End> {
        let outcome = self.wait(*count, deadline, Signals::Any);
        *count = self.count();
        outcome.map(|()| End::Whole)
    }

    /// Wakes all waiters, now and from now on: the device is gone.
    pub(crate) fn dismiss(&self) {
        *self.gone.lock() = true;
        self.wake.notify_all();
    }
}
