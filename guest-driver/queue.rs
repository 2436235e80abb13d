// SPDX-License-Identifier: GPL-2.0-only

//! A queue that an open file owns: its rings, in coherent memory that the process maps.
//!
//! The process writes the submission ring and may write it at any time, so the driver never reads
//! it. The completion ring is mapped read-only. The driver looks at indices alone.

use crate::{
    buffer::allocate,
    device::Device,
    interface::ring::{
        self,
        Completion,
        Descriptor, //
    },
    limits::{
        Amount,
        Charge,
        User, //
    },
};
use core::mem::size_of;
use kernel::{
    dma::Coherent,
    page::PAGE_SIZE,
    prelude::*, //
};

/// A started queue. Must be given to [`Queue::stop`] while the device is there.
pub(crate) struct Queue {
    number: u32,
    entries: u32,
    submission: Coherent<[u8]>,
    completion: Coherent<[u8]>,
    _charge: Charge,
}

impl Queue {
    /// Starts a queue with `entries` in both rings.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a number of entries that no ring has, `ENOSPC` over a limit, or if all queues
    /// are taken; `ENOMEM`; `EIO` if the device refuses.
    pub(crate) fn start(
        device: &Device<'_>,
        user: &User,
        domain: u32,
        entries: u32,
    ) -> Result<Self> {
        if !ring::entries_valid(entries) || entries > device.limits().entries {
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
        let number = device.start_queue(
            domain,
            entries,
            submission.dma_address(),
            completion.dma_address(),
        )?;
        Ok(Self {
            number,
            entries,
            submission,
            completion,
            _charge: charge,
        })
    }

    /// Number of the queue.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The submission ring, whole pages.
    pub(crate) fn submission(&self) -> &Coherent<[u8]> {
        &self.submission
    }

    /// The completion ring, whole pages.
    pub(crate) fn completion(&self) -> &Coherent<[u8]> {
        &self.completion
    }

    /// Whether there are completions that the process has not taken.
    pub(crate) fn has_completions(&self, device: &Device<'_>) -> Result<bool> {
        Ok(device.completion_tail(self.number)? != device.completion_head(self.number)?)
    }

    /// Stops the queue and frees the rings.
    pub(crate) fn stop(self, device: &Device<'_>) {
        if device.stop_queue(self.number).is_err() {
            self.keep(device);
        }
    }

    /// Keeps the rings for good, as the device may still write them.
    pub(crate) fn keep(self, device: &Device<'_>) {
        device.kept().queue([self.submission, self.completion]);
    }
}
