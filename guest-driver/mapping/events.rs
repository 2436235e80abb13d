// SPDX-License-Identifier: GPL-2.0-only

//! A count of a device's events, for which threads wait.
//!
//! They wait outside of the gate: inside, the end of the binding would wait for them.

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
        CondVarTimeoutResult,
        Mutex, //
    },
    time::msecs_to_jiffies, //
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
    /// `ENODEV` if the device is gone; `ETIMEDOUT`; `EINTR`.
    pub(crate) fn wait(&self, count: u64, milliseconds: u64) -> Result {
        let milliseconds = u32::try_from(milliseconds).unwrap_or(u32::MAX);
        let mut left = msecs_to_jiffies(milliseconds);
        let mut gone = self.gone.lock();
        loop {
            if *gone {
                return Err(ENODEV);
            }
            if self.count() >= count {
                return Ok(());
            }
            left = match self.wake.wait_interruptible_timeout(&mut gone, left) {
                CondVarTimeoutResult::Woken { jiffies } => jiffies,
                // The event may have come with the last jiffy.
                CondVarTimeoutResult::Timeout if self.count() < count => return Err(ETIMEDOUT),
                CondVarTimeoutResult::Timeout => 0,
                CondVarTimeoutResult::Signal { .. } => return Err(EINTR),
            };
        }
    }

    /// Wakes all waiters, now and from now on: the device is gone.
    pub(crate) fn dismiss(&self) {
        *self.gone.lock() = true;
        self.wake.notify_all();
    }
}
