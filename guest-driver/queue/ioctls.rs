// SPDX-License-Identifier: GPL-2.0-only

//! The calls that make, reset and destroy queues, and wait for them. Those that use a queue of the
//! kernel are in `execute.rs` and `transfer.rs`.

use super::{
    eventfd::EventFd,
    owner::QueueOwner,
    waiters::Waiters,
    Queue, //
};
use crate::{
    interface::{
        ioctl,
        mmap, //
    },
    mapping::{
        arguments::{
            timed_argument,
            End,
            Timed, //
        },
        deadline::Deadline,
        signals::Signals, //
    },
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc, //
};

/// Takes a queue and starts it; see [`ioctl::CREATE_QUEUE`].
pub(crate) fn create(file: &impl QueueOwner, create: &mut ioctl::CreateQueue) -> Result {
    if create.reserved != 0 {
        return Err(EINVAL);
    }
    file.with_queues(|device, queues| {
        queues.add(|| {
            let queue = Queue::start(
                device,
                file.wakeups(),
                file.owner(),
                create.entries,
                create.flags,
            )?;
            create.queue = queue.number();
            if !queue.is_kernels() {
                let index = queue.number() as u16;
                create.submission_ring = mmap::encode(mmap::KIND_SUBMISSION_RING, index);
                create.completion_ring = mmap::encode(mmap::KIND_COMPLETION_RING, index);
                create.kick = mmap::encode(mmap::KIND_KICK, index);
                create.doorbell = mmap::encode(mmap::KIND_DOORBELL, index);
                create.status = mmap::encode(mmap::KIND_STATUS, index);
            }
            Ok(queue)
        })
    })?;
    wake_pollers(file);
    Ok(())
}

/// Waits until the queue has posted as many completions as asked for; see [`ioctl::WAIT`].
pub(crate) fn wait(
    file: &impl QueueOwner,
    wait: &mut ioctl::Wait,
    deadline: &Deadline,
) -> Result<End> {
    let waiters = waiters(file, wait.queue)?;
    let wanted = core::mem::take(&mut wait.completion_tail);
    waiters.wait(
        &file.wakeups().gate,
        waiters.run(),
        wanted,
        deadline,
        Signals::Any,
        &mut wait.completion_tail,
    )?;
    Ok(End::Whole)
}

/// Sets the eventfd that interrupts of a queue signal; see [`ioctl::SET_EVENTFD`].
pub(crate) fn set_event_fd(file: &impl QueueOwner, set: &ioctl::SetEventFd) -> Result {
    let event = match set.fd {
        -1 => None,
        fd => Some(EventFd::of_process(fd)?),
    };
    drop(waiters(file, set.queue)?.set_event(event));
    // The end of the binding may have signalled the eventfd that was set before: this one would
    // never be.
    file.wakeups().gate.with(|_| Ok(()))
}

/// Stops a queue and starts it again; see [`ioctl::RESET_QUEUE`].
pub(crate) fn reset(file: &impl QueueOwner, object: &ioctl::Object) -> Result {
    if object.reserved != 0 {
        return Err(EINVAL);
    }
    let outcome = file.with_queues(|device, queues| queues.get_mut(object.number)?.reset(device));
    // Also if the queue could not be started again: it is in error then.
    wake_pollers(file);
    outcome
}

/// Takes a queue from the file and its mappings from the process, then gives it back; see
/// [`ioctl::DESTROY_QUEUE`].
pub(crate) fn destroy(file: &impl QueueOwner, object: &ioctl::Object) -> Result {
    if object.reserved != 0 {
        return Err(EINVAL);
    }
    let wakeups = file.wakeups();
    wakeups.gate.with(|device| {
        // Out of the list first: from here on no mapping can be made of it.
        let queue = file.lock_queues(|queues| queues.take(object.number))?;
        let index = queue.number() as u16;
        for (kind, length) in [
            (mmap::KIND_SUBMISSION_RING, queue.submission().size()),
            (mmap::KIND_COMPLETION_RING, queue.completion().size()),
            (mmap::KIND_KICK, PAGE_SIZE),
            (mmap::KIND_DOORBELL, PAGE_SIZE),
            (mmap::KIND_STATUS, PAGE_SIZE),
        ] {
            file.revoke_region(mmap::encode(kind, index), length);
        }
        queue.stop(device, wakeups)
    })
}

/// Returns the waiters of a queue.
fn waiters(file: &impl QueueOwner, queue: u32) -> Result<Arc<Waiters>> {
    file.with_queues(|_device, queues| Ok(queues.get(queue)?.waiters().clone()))
}

/// Wakes pollers, now that a queue was started. They have not armed it, so no interrupt would wake
/// them for it.
fn wake_pollers(file: &impl QueueOwner) {
    file.wakeups().pollers.notify_all();
}

timed_argument!(ioctl::Wait, timeout_ms);
timed_argument!(ioctl::Execute, timeout_ms);
timed_argument!(ioctl::Transfer, timeout_ms);
