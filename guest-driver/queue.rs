// SPDX-License-Identifier: GPL-2.0-only

//! A queue that an open file owns: its rings, in coherent memory.
//!
//! A process maps the rings of its queue and may write the submission ring and the doorbell page at
//! any time, so the driver never reads the one and believes nothing of the other. The rings of a queue
//! of the kernel are not mapped; `execute.rs` uses them.

use crate::{
    buffer::allocate,
    device::{
        limits::{
            Amount,
            Charge,
            User, //
        },
        Device, //
    },
    execute::Progress,
    interface::{
        ioctl,
        ring::{
            self,
            Completion,
            Descriptor, //
        },
    },
    transfer::Staging,
    waiters::Waiters,
    wakeups::Wakeups, //
};
use core::mem::size_of;
use kernel::{
    dma::Coherent,
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc, //
};

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
    pub(crate) staging: Option<Staging>,
    submission: Coherent<[u8]>,
    completion: Coherent<[u8]>,
    _charge: Charge,
    waiters: Arc<Waiters>,
}

impl Queue {
    /// Starts a queue with `entries` in both rings.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a number of entries that no ring has, or unknown flags; `ENOSPC` over a
    /// limit, or if all queues are taken; `ENOMEM`; `EIO` if the device refuses or is lost.
    pub(crate) fn start(
        device: &Device<'_>,
        wakeups: &Arc<Wakeups>,
        user: &User,
        domain: u32,
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
        let charge = user.charge(Amount {
            queues: 1,
            bytes: (sizes[0] + sizes[1]) as u64,
            ..Amount::default()
        })?;
        let submission = allocate(device, sizes[0])?;
        let completion = allocate(device, sizes[1])?;
        let number = device.take_queue()?;
        let waiters = Waiters::new(number, device.vector(number))
            .inspect_err(|_| device.give_back_queue(number))?;
        let mut queue = Self {
            number,
            domain,
            entries,
            generation: 0,
            progress: (flags & ioctl::QUEUE_KERNEL != 0).then(Progress::default),
            staging: None,
            submission,
            completion,
            _charge: charge,
            waiters,
        };
        if let Err(error) = wakeups
            .add(queue.waiters.clone())
            .and_then(|()| queue.restart(device))
        {
            // A lost device may start it when it comes back.
            let _ = queue.stop(device, wakeups);
            return Err(error);
        }
        Ok(queue)
    }

    /// Stops the queue and starts it anew, with the same rings.
    ///
    /// # Errors
    ///
    /// `EIO` if the device was reset since it was started first, is lost or refuses.
    pub(crate) fn reset(&mut self, device: &Device<'_>) -> Result {
        if !device.registers().is_current(self.generation) {
            return Err(EIO);
        }
        self.waiters.stopped();
        device.stop_queue(self.generation, self.number)?;
        self.restart(device)
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

    /// Number of the queue.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Whether it is one of the kernel, which no process maps.
    pub(crate) fn is_kernels(&self) -> bool {
        self.progress.is_some()
    }

    /// How far a queue of the kernel is.
    pub(crate) fn progress(&self) -> Option<&Progress> {
        self.progress.as_ref()
    }

    /// As [`Queue::progress`], to go on.
    pub(crate) fn progress_mut(&mut self) -> Option<&mut Progress> {
        self.progress.as_mut()
    }

    /// Entries of each ring.
    pub(crate) fn entries(&self) -> u32 {
        self.entries
    }

    /// The submission ring, whole pages.
    pub(crate) fn submission(&self) -> &Coherent<[u8]> {
        &self.submission
    }

    /// The completion ring, whole pages.
    pub(crate) fn completion(&self) -> &Coherent<[u8]> {
        &self.completion
    }

    /// Who waits for its completions.
    pub(crate) fn waiters(&self) -> &Arc<Waiters> {
        &self.waiters
    }

    /// Stops the queue, which no process maps any more, and frees the rings.
    ///
    /// # Errors
    ///
    /// `EIO` if the device may still write its memory, which is then kept for good.
    pub(crate) fn stop(self, device: &Device<'_>, wakeups: &Wakeups) -> Result {
        self.waiters.gone();
        wakeups.remove(&self.waiters);
        match device.stop_queue(self.generation, self.number) {
            Ok(()) => device.give_back_queue(self.number),
            Err(error) => {
                self.keep(device);
                return Err(error);
            }
        }
        self.staging.map_or(Ok(()), |staging| staging.close(device))
    }

    /// Keeps its memory for good, as the device may still write it. Nobody gets its number.
    pub(crate) fn keep(self, device: &Device<'_>) {
        device.kept().queue([self.submission, self.completion]);
        if let Some(staging) = self.staging {
            staging.keep(device);
        }
    }
}
