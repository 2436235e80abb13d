// SPDX-License-Identifier: GPL-2.0-only

//! A queue that an open file owns: its rings, in coherent memory.
//!
//! A process maps the rings of its queue and may write the submission ring and the doorbell page at
//! any time. So the driver never reads that ring, and trusts no value of that page. The rings of a
//! queue of the kernel are not mapped: the driver itself writes and reads them, for [`session`].

pub(crate) mod eventfd;
pub(crate) mod execute;
pub(crate) mod ioctls;
pub(crate) mod owned;
pub(crate) mod owner;
mod session;
mod staging;
pub(crate) mod transfer;
mod waiters;
pub(crate) mod wakeups;

use crate::{
    device::{
        kept::Taken,
        limits::{
            Amount,
            Charge, //
        },
        owner::Owner,
        registers::Silence,
        Device, //
    },
    interface::{
        ioctl,
        ring::{
            self,
            distance,
            slot,
            Completion,
            Descriptor, //
        },
        wake::{
            self,
            Word,
            Words, //
        },
    },
    mapping::{
        memory::CoherentMemory,
        series::memory::*, //
    },
};
use core::mem::size_of;
use kernel::{
    error::code::ERESTARTSYS,
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc, //
};
use staging::Staging;
use waiters::Waiters;
use wakeups::Wakeups;
use zerocopy::IntoBytes;

/// A started queue. Must be given to [`Queue::stop`] while the device is there.
pub(crate) struct Queue {
    number: u32,
    domain: u32,
    entries: u32,
    /// Reset generation in which it was started.
    generation: u32,
    /// Of a queue of the kernel.
    progress: Option<Progress>,
    /// Of a queue of the kernel that has moved bytes.
    staging: Option<Staging>,
    submission: CoherentMemory,
    completion: CoherentMemory,
    _charge: Charge,
    waiters: Arc<Waiters>,
}

/// The progress of a queue of the kernel.
#[derive(Default)]
struct Progress {
    /// Descriptors ever handed to the device.
    submitted: u32,
    /// Completions ever taken.
    taken: u32,
}

impl Queue {
    /// Starts a queue with `entries` in both rings.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a number of entries that no ring has, or unknown flags; `ENOSPC` over a
    /// limit, or if all queues are taken; `ENOMEM`; `EIO` if the device refuses or is lost;
    /// `ERESTARTSYS` if it is being reset.
    fn start(
        device: &Device<'_>,
        wakeups: &Arc<Wakeups>,
        owner: &Owner,
        entries: u32,
        flags: u32,
    ) -> Result<Self> {
        if !ring::entries_valid(entries) || entries > device.limits().entries {
            return Err(EINVAL);
        }
        if flags & !ioctl::QUEUE_KERNEL != 0 {
            return Err(EINVAL);
        }
        let sizes = [size_of::<Descriptor>(), size_of::<Completion>()]
            .map(|entry| (entries as usize * entry).next_multiple_of(PAGE_SIZE));
        let charge = owner.charge(Amount {
            queues: 1,
            bytes: (sizes[0] + sizes[1]) as u64,
            ..Amount::default()
        })?;
        let parent = device.pdev().as_ref();
        let submission = CoherentMemory::new(parent, sizes[0])?;
        let completion = CoherentMemory::new(parent, sizes[1])?;
        let number = device.take_queue()?;
        let waiters = Waiters::new(number, device.vector(number))
            .inspect_err(|_| device.give_back_queue(number))?;
        let mut queue = Self {
            number,
            domain: owner.domain(),
            entries,
            generation: 0,
            progress: (flags & ioctl::QUEUE_KERNEL != 0).then(Progress::default),
            staging: None,
            submission,
            completion,
            _charge: charge,
            waiters,
        };
        // Known to the wake-ups before it runs: otherwise its first interrupt would find no
        // waiters.
        if let Err(error) = wakeups
            .add(queue.waiters.clone())
            .and_then(|()| queue.restart(device))
        {
            if error == ERESTARTSYS {
                // Nothing to stop: the device was not asked to start it.
                queue.leave(wakeups);
                device.give_back_queue(number);
            } else {
                // A lost device may start it when it comes back.
                let _ = queue.stop(device, wakeups);
            }
            return Err(error);
        }
        Ok(queue)
    }

    /// Stops the queue and starts it again, with the same rings.
    ///
    /// # Errors
    ///
    /// `EIO` if the device was reset since it was started first, is lost or refuses; `ERESTARTSYS`
    /// if it is being reset, and the queue was not stopped.
    fn reset(&mut self, device: &Device<'_>) -> Result {
        if !device.registers().is_current(self.generation) {
            return Err(EIO);
        }
        device.stop_queue(self.generation, Silence::Restart, self.number)?;
        self.waiters.stopped();
        self.restart(device).map_err(ended)
    }

    fn restart(&mut self, device: &Device<'_>) -> Result {
        self.generation = device.start_queue(
            self.number,
            self.domain,
            self.entries,
            self.submission.dma_address(),
            self.completion.dma_address(),
        )?;
        self.progress = self.progress.take().map(|_| Progress::default());
        self.waiters.started(self.generation);
        Ok(())
    }

    /// Returns its number.
    fn number(&self) -> u32 {
        self.number
    }

    /// Returns whether it is one of the kernel, which no process maps.
    fn is_kernels(&self) -> bool {
        self.progress.is_some()
    }

    /// Returns the number of entries of each ring.
    fn entries(&self) -> u32 {
        self.entries
    }

    /// Returns the submission ring, whole pages.
    pub(crate) fn submission(&self) -> &CoherentMemory {
        &self.submission
    }

    /// Returns the completion ring, whole pages.
    pub(crate) fn completion(&self) -> &CoherentMemory {
        &self.completion
    }

    /// Returns the waiters for its completions.
    fn waiters(&self) -> &Arc<Waiters> {
        &self.waiters
    }

    /// Returns the memory for the pieces of a transfer, made for the first one.
    fn staging(&mut self, device: &Device<'_>, owner: &Owner) -> Result<&mut Staging> {
        if self.staging.is_none() {
            // Otherwise the window would be opened for a queue that a reset has ended.
            if !device.registers().is_current(self.generation) {
                return Err(EIO);
            }
            self.staging = Some(Staging::new(device, owner).map_err(ended)?);
        }
        self.staging.as_mut().ok_or(EIO)
    }

    /// Returns the number of descriptors ever handed to the device.
    fn submitted(&self) -> u32 {
        self.progress
            .as_ref()
            .map_or(0, |progress| progress.submitted)
    }

    /// Writes descriptors to the ring, in which there is room for them, and hands them to the
    /// device. Returns the number that it will have completed then.
    fn submit(&mut self, device: &Device<'_>, descriptors: &[Descriptor]) -> Result<u32> {
        let mut tail = self.submitted();
        for descriptor in descriptors {
            let start = slot(tail, self.entries) as usize * size_of::<Descriptor>();
            io_project!(*self.submission, [try: start..start + size_of::<Descriptor>()])
                .copy_from_slice(descriptor.as_bytes());
            tail = tail.wrapping_add(1);
        }
        self.progress.as_mut().ok_or(EINVAL)?.submitted = tail;
        if wake::submit(&device.registers().words(self.number)?, tail) {
            device.registers().kick(self.number)?;
        }
        Ok(tail)
    }

    /// Takes the completions before `tail`, as many as there is room for in `completions`; the
    /// others are dropped. Returns the number that it took.
    fn take(
        &mut self,
        device: &Device<'_>,
        tail: u32,
        completions: &mut [Completion],
    ) -> Result<usize> {
        let progress = self.progress.as_ref().ok_or(EINVAL)?;
        let head = progress.taken;
        // The device wrote the tail. Completions that it cannot have would be bytes of an earlier turn.
        if distance(head, tail) > distance(head, progress.submitted) {
            dev_warn!(
                device.pdev(),
                "queue {}: completion tail {} is wrong\n",
                self.number,
                tail
            );
            return Err(EIO);
        }
        let there = distance(head, tail) as usize;
        let mut index = head;
        for completion in completions.iter_mut().take(there) {
            let start = slot(index, self.entries) as usize * size_of::<Completion>();
            io_project!(*self.completion, [try: start..start + size_of::<Completion>()])
                .copy_to_slice(completion.as_mut_bytes());
            index = index.wrapping_add(1);
        }
        self.progress.as_mut().ok_or(EINVAL)?.taken = tail;
        let words = device.registers().words(self.number)?;
        words.store(Word::CompletionHead, tail);
        Ok(there.min(completions.len()))
    }

    /// Stops the queue, which no process maps any more, and frees the rings.
    ///
    /// # Errors
    ///
    /// `EIO` if the device may still write its memory, which is then never freed.
    fn stop(self, device: &Device<'_>, wakeups: &Wakeups) -> Result {
        self.leave(wakeups);
        match device.stop_queue(self.generation, Silence::Wait, self.number) {
            Ok(()) => device.give_back_queue(self.number),
            Err(error) => {
                self.keep(device);
                return Err(error);
            }
        }
        self.staging.map_or(Ok(()), |staging| staging.close(device))
    }

    /// Ends the waits for its completions.
    fn leave(&self, wakeups: &Wakeups) {
        self.waiters.gone();
        wakeups.remove(&self.waiters);
    }

    /// Keeps its memory and its number, as the device may still write the memory.
    fn keep(self, device: &Device<'_>) {
        let bytes = self.submission.size() + self.completion.size();
        let rings = [self.submission, self.completion];
        device.keep(self.generation, Taken::Queue(self.number), bytes, rings);
        if let Some(staging) = self.staging {
            staging.keep(device);
        }
    }
}

/// Returns the error of a call on a queue for `error`. A reset that begins during the call ends the
/// queue, so the call does not wait for the end of that reset.
fn ended(error: Error) -> Error {
    if error == ERESTARTSYS {
        EIO
    } else {
        error
    }
}
