// SPDX-License-Identifier: GPL-2.0-only

//! Looks after queues while files have some: wakes who waits if the device was reset or is lost, of
//! which no interrupt tells.

use crate::{
    device::Device,
    shared::Shared, //
};
use kernel::{
    bindings, container_of,
    sync::Arc,
    time::{
        msecs_to_jiffies,
        Jiffies,
        Msecs, //
    },
    workqueue::{
        self,
        impl_has_delayed_work,
        HasWork,
        Work,
        WorkItem, //
    },
};

/// Between two looks at shared words.
const PERIOD: Msecs = 250;

impl_has_delayed_work! {
    impl HasDelayedWork<Self> for Shared { self.watchdog }
}

impl WorkItem for Shared {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        if this.gate.with(|device| Ok(this.watch(device))) == Ok(true) {
            start(this);
        }
    }
}

impl Shared {
    /// Looks at all queues once. Says whether there are any.
    fn watch(&self, device: &Device<'_>) -> bool {
        let awaited = self.queues.lock().iter().any(|queue| queue.awaited());
        if awaited {
            // Traps, so only for somebody. What it finds is seen below.
            let _ = device.check();
        }
        let queues = self.queues.lock();
        let looked = queues.iter().map(|queue| queue.look_after(device));
        if looked.fold(false, |news, queue| news | queue) {
            self.pollers.notify_all();
        }
        !queues.is_empty()
    }
}

/// Starts the watchdog, if it does not run already. Called inside the gate, or by itself.
pub(crate) fn start(shared: Arc<Shared>) {
    let period: Jiffies = msecs_to_jiffies(PERIOD);
    // Not bound to a processor, as a device that does not answer holds one up. If it was started
    // already, the reference comes back and is dropped.
    let _ = workqueue::system_unbound().enqueue_delayed(shared, period);
}

/// Ends the watchdog, with the gate closed: it neither runs nor will.
pub(crate) fn stop(shared: &Arc<Shared>) {
    // SAFETY: The value is there.
    let work = unsafe { Shared::raw_get_work(Arc::as_ptr(shared).cast_mut()) };
    // SAFETY: As above.
    let work = unsafe { Work::raw_get(work) };
    // SAFETY: `DelayedWork` has its work in a `delayed_work`.
    let work = unsafe { container_of!(work, bindings::delayed_work, work) };
    // SAFETY: It was initialised with the value it is in.
    let pending = unsafe { bindings::cancel_delayed_work_sync(work) };
    if pending {
        // SAFETY: To start it, a reference was given away, which it has not taken back.
        drop(unsafe { Arc::from_raw(Arc::as_ptr(shared)) });
    }
}
