// SPDX-License-Identifier: GPL-2.0-only

//! A call that has its turn on a queue of the kernel.

use super::{
    owner::QueueOwner,
    waiters::{
        Turn,
        Waiters, //
    },
    Queue, //
};
use crate::{
    device::Device,
    interface::ring::{
        Completion,
        Descriptor, //
    },
    mapping::{
        deadline::Deadline,
        signals::Signals, //
    },
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A call that has its turn on a queue of the kernel.
pub(super) struct Session<'a, F> {
    file: &'a F,
    number: u32,
    waiters: &'a Arc<Waiters>,
    turn: Turn<'a>,
    deadline: &'a Deadline,
}

impl<'a, F: QueueOwner> Session<'a, F> {
    /// Waits for its turn, and for completions that an earlier call has left in the rings.
    ///
    /// # Errors
    ///
    /// As [`Waiters::wait`].
    pub(super) fn begin(
        file: &'a F,
        number: u32,
        waiters: &'a Arc<Waiters>,
        deadline: &'a Deadline,
    ) -> Result<Self> {
        let turn = waiters.take_turn(&file.wakeups().gate, deadline)?;
        let session = Self {
            file,
            number,
            waiters,
            turn,
            deadline,
        };
        let mut tail = session.with_queue(|_device, queue| Ok(queue.submitted()))?;
        session.wait(tail, Signals::Any, &mut tail)?;
        session.with_queue(|device, queue| queue.take(device, tail, &mut []))?;
        Ok(session)
    }

    /// Carries out descriptors, no more than the rings have entries. Returns the number of
    /// completions that it took, and whether it has waited for all of them.
    ///
    /// Only a signal that kills the process ends the wait early. After another one the process
    /// would call again, and so have the device carry the same descriptors out twice.
    pub(super) fn run(
        &self,
        descriptors: &[Descriptor],
        completions: &mut [Completion],
    ) -> Result<(usize, Result)> {
        let wanted = self.with_queue(|device, queue| queue.submit(device, descriptors))?;
        let mut tail = wanted.wrapping_sub(descriptors.len() as u32);
        let waited = self.wait(wanted, Signals::Fatal, &mut tail);
        let taken = self.with_queue(|device, queue| queue.take(device, tail, completions))?;
        Ok((taken, waited))
    }

    fn wait(&self, wanted: u32, signals: Signals, tail: &mut u32) -> Result {
        let gate = &self.file.wakeups().gate;
        let run = self.turn.run();
        self.waiters
            .wait(gate, run, wanted, self.deadline, signals, tail)
    }

    /// Calls `f` with the queue, if it is still that with which the call began. The process may
    /// have destroyed it, or reset it, while the call slept.
    pub(super) fn with_queue<R>(
        &self,
        f: impl FnOnce(&Device<'_>, &mut Queue) -> Result<R>,
    ) -> Result<R> {
        self.file.with_queues(|device, queues| {
            let queue = queues.get_mut(self.number)?;
            let same = Arc::ptr_eq(queue.waiters(), self.waiters);
            if !same || self.waiters.run() != self.turn.run() {
                return Err(EIO);
            }
            f(device, queue)
        })
    }
}

/// Returns the waiters of a queue of the kernel.
///
/// # Errors
///
/// `ENXIO` if the file has no such queue; `EINVAL` if it is one that processes map.
pub(super) fn kernel_queue(file: &impl QueueOwner, queue: u32) -> Result<Arc<Waiters>> {
    file.with_queues(|_device, queues| {
        let queue = queues.get(queue)?;
        let waiters = queue.is_kernels().then(|| queue.waiters().clone());
        waiters.ok_or(EINVAL)
    })
}
