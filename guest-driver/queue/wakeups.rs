// SPDX-License-Identifier: GPL-2.0-only

//! Wakes the processes that wait for queues of a device: from interrupts, from the watchdog, and
//! when the device goes.

use crate::{
    device::{
        delayed,
        Device,
        Gate, //
    },
    mapping::signals::Signals,
    queue::waiters::Waiters, //
};
use kernel::{
    new_mutex, new_poll_condvar,
    prelude::*,
    sync::{
        poll::PollCondVar,
        Arc,
        Mutex, //
    },
    time::Msecs,
    workqueue::{
        impl_has_delayed_work,
        new_delayed_work,
        DelayedWork,
        WorkItem, //
    },
};

/// Between two looks of the watchdog at shared words.
const PERIOD: Msecs = 250;

/// The queues that files of a device have, and the way to the device. Outlives the binding of
/// driver and device.
#[pin_data]
pub(crate) struct Wakeups {
    /// The way to the bound device.
    pub(crate) gate: Arc<Gate>,
    /// At most as many as the device has.
    #[pin]
    queues: Mutex<KVec<Arc<Waiters>>>,
    /// Processes that poll register here. Woken when completions arrive, when a queue is started,
    /// and when the device goes.
    #[pin]
    pub(crate) pollers: PollCondVar,
    /// Runs while files have queues.
    #[pin]
    watchdog: DelayedWork<Self>,
}

impl_has_delayed_work! {
    impl HasDelayedWork<Self> for Wakeups { self.watchdog }
}

impl WorkItem for Wakeups {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        let watch = |device: &Device<'_>| Ok(this.watch(device));
        if delayed::machine_sleeps() || this.gate.with(watch) == Ok(true) {
            delayed::start(this, PERIOD);
        }
    }
}

impl Wakeups {
    /// Returns the wake-ups of a device that is not there yet, behind this gate.
    pub(crate) fn new(gate: Arc<Gate>) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                gate,
                queues <- new_mutex!(KVec::new()),
                pollers <- new_poll_condvar!(),
                watchdog <- new_delayed_work!("ringbar watchdog"),
            }),
            GFP_KERNEL,
        )
    }

    /// Adds a queue: from now on interrupts and the watchdog wake its waiters. Called inside the
    /// gate, as the end of the watchdog relies on that.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn add(self: &Arc<Self>, waiters: Arc<Waiters>) -> Result {
        self.queues.lock().push(waiters, GFP_KERNEL)?;
        delayed::start(self.clone(), PERIOD);
        Ok(())
    }

    /// Removes a queue that a file does not have any more.
    pub(crate) fn remove(&self, waiters: &Arc<Waiters>) {
        self.queues
            .lock()
            .retain(|other| !Arc::ptr_eq(other, waiters));
    }

    /// Wakes the waiters of each queue of this vector for which the device did something. Its work
    /// is bounded by the number of queues, whatever their rings hold.
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

    /// Wakes all waiters, now that the gate is closed, and ends the watchdog. May sleep.
    pub(crate) fn dismiss(self: &Arc<Self>) {
        let queues = core::mem::take(&mut *self.queues.lock());
        queues.iter().for_each(|queue| queue.wake_to_look_again());
        self.pollers.notify_all();
        delayed::stop(self);
    }

    /// Looks at all queues once, and wakes waiters if the device was reset or is lost, which no
    /// interrupt reports. Returns whether there are queues.
    fn watch(&self, device: &Device<'_>) -> bool {
        let awaited = self.queues.lock().iter().any(|queue| queue.awaited());
        if awaited {
            // The check traps, so it is made only for a waiter. `wake_without_interrupt` sees its
            // outcome.
            let _ = device.check(Signals::None);
        }
        let queues = self.queues.lock();
        let looked = queues
            .iter()
            .map(|queue| queue.wake_without_interrupt(device));
        if looked.fold(false, |news, queue| news | queue) {
            self.pollers.notify_all();
        }
        !queues.is_empty()
    }
}
