// SPDX-License-Identifier: GPL-2.0-only

//! The queues that an open file owns.

use super::{
    wakeups::Wakeups,
    Queue, //
};
use crate::device::{
    owner::denied,
    Device, //
};
use kernel::prelude::*;

/// The queues that an open file owns. Empty once the device is gone.
#[derive(Default)]
pub(crate) struct OwnedQueues(KVec<Queue>);

impl OwnedQueues {
    /// Returns the queue with this number.
    ///
    /// # Errors
    ///
    /// `ENXIO` if the file has no such queue.
    pub(super) fn get(&self, number: u32) -> Result<&Queue> {
        let mut queues = self.0.iter();
        queues.find(|queue| queue.number() == number).ok_or(ENXIO)
    }

    /// As [`OwnedQueues::get`], to change the queue.
    pub(super) fn get_mut(&mut self, number: u32) -> Result<&mut Queue> {
        let mut queues = self.0.iter_mut();
        queues.find(|queue| queue.number() == number).ok_or(ENXIO)
    }

    /// Returns the queue with this number, for a mapping.
    ///
    /// # Errors
    ///
    /// `EPERM` if it is not this file's or one of the kernel, `ENXIO` if the device has no such
    /// queue.
    pub(crate) fn mapped(&self, device: &Device<'_>, number: u16) -> Result<&Queue> {
        match self.get(number.into()) {
            Ok(queue) if queue.is_kernels() => Err(EPERM),
            Ok(queue) => Ok(queue),
            Err(_) => Err(denied(u32::from(number) < device.limits().queues)),
        }
    }

    /// Adds the queue that `make` makes.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; the errors of `make`.
    pub(super) fn add(&mut self, make: impl FnOnce() -> Result<Queue>) -> Result {
        // Room in the list first: a queue that was made could not be written down otherwise.
        self.0.reserve(1, GFP_KERNEL)?;
        let queue = make()?;
        self.0.push_within_capacity(queue).map_err(|_| ENOMEM)
    }

    /// Takes the queue with this number out.
    ///
    /// # Errors
    ///
    /// `ENXIO` if the file has no such queue.
    pub(super) fn take(&mut self, number: u32) -> Result<Queue> {
        let index = self.0.iter().position(|queue| queue.number() == number);
        self.0.remove(index.ok_or(ENXIO)?).map_err(|_| ENXIO)
    }

    /// Returns the events of `poll` for which the mapped queues are ready.
    ///
    /// # Errors
    ///
    /// `EIO` if the device is lost.
    pub(crate) fn poll(&self, device: &Device<'_>) -> Result<u32> {
        if device.registers().is_lost() {
            return Err(EIO);
        }
        let mapped = self.0.iter().filter(|queue| !queue.is_kernels());
        mapped
            .map(|queue| queue.waiters().poll(device))
            .try_fold(0, |all, ready| Ok(all | ready?))
    }

    /// Stops all queues of a device that is there. The device counts the memory that it may still
    /// write.
    pub(crate) fn release(mut self, device: &Device<'_>, wakeups: &Wakeups) {
        for queue in self.0.drain_all() {
            let _ = queue.stop(device, wakeups);
        }
    }

    /// Keeps the memory of a device that does not answer and may still write it.
    pub(crate) fn keep_for_good(mut self, device: &Device<'_>) {
        self.0.drain_all().for_each(|queue| queue.keep(device));
    }
}
