// SPDX-License-Identifier: GPL-2.0-only

//! Starts and ends work that runs again and again, as long as it starts itself.

use kernel::{
    bindings, container_of,
    sync::Arc,
    time::{
        msecs_to_jiffies,
        Jiffies,
        Msecs, //
    },
    workqueue::{
        HasDelayedWork,
        Queue,
        Work,
        WorkItem, //
    },
};

extern "C" {
    // In `shim.c`: calls `pm_suspend_in_progress`, which is inline in the kernel.
    fn ringbar_machine_sleeps() -> bool;
}

/// Returns whether the machine sleeps, falls asleep or wakes.
///
/// Work runs before the PCI core has restored the BARs. Work that looked at the device then could
/// give it up: how long the rest of the machine takes to wake is not the device's fault.
pub(crate) fn machine_sleeps() -> bool {
    // SAFETY: The function reads a variable of the kernel.
    unsafe { ringbar_machine_sleeps() }
}

/// Has the work of `value` run in so many milliseconds, unless it is to run already.
///
/// Called inside the gate, or by the work itself. Otherwise it could start after [`stop`].
pub(crate) fn start<T>(value: Arc<T>, delay: Msecs)
where
    T: WorkItem<Pointer = Arc<T>> + HasDelayedWork<T> + Send + Sync + 'static,
{
    let delay: Jiffies = msecs_to_jiffies(delay);
    // Not bound to a processor: a device that does not answer holds one up, and with it all other
    // work that is bound to it.
    // SAFETY: The kernel sets this queue up before it loads modules, and never destroys it.
    let queue = unsafe { Queue::from_raw(bindings::system_dfl_wq) };
    // If the work was started already, the reference comes back and is dropped.
    let _ = queue.enqueue_delayed(value, delay);
}

/// Ends the work of `value`, with the gate closed: it neither runs nor will.
pub(crate) fn stop<T>(value: &Arc<T>)
where
    T: WorkItem<Pointer = Arc<T>> + HasDelayedWork<T>,
{
    // SAFETY: The reference keeps the value alive.
    let work = unsafe { T::raw_get_work(Arc::as_ptr(value).cast_mut()) };
    // SAFETY: The pointer is to the work inside the value, which is alive.
    let work = unsafe { Work::raw_get(work) };
    // SAFETY: By `HasDelayedWork` the work lies in a `delayed_work`.
    let work = unsafe { container_of!(work, bindings::delayed_work, work) };
    // SAFETY: The work was initialised with the value that it lies in.
    let pending = unsafe { bindings::cancel_delayed_work_sync(work) };
    if pending {
        // SAFETY: `start` gave a reference to the work, which was pending and so did not take it
        // back, and now never will.
        drop(unsafe { Arc::from_raw(Arc::as_ptr(value)) });
    }
}
