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
};
use core::mem::size_of;
use kernel::{
    dma::Coherent,
    prelude::*, //
};

/// A started queue. Must be given to [`Queue::stop`] while the device is there.
pub(crate) struct Queue {
    number: u32,
    entries: u32,
    submission: Coherent<[u8]>,
    completion: Coherent<[u8]>,
}

impl Queue {
    /// Starts a queue with `entries` in both rings.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a number of entries that no ring has, `EBUSY` if all queues are taken, `ENOMEM`,
    /// `EIO` if the device refuses.
    pub(crate) fn start(device: &Device<'_>, domain: u32, entries: u32) -> Result<Self> {
        if !ring::entries_valid(entries) || entries > device.limits().entries {
            return Err(EINVAL);
        }
        let submission = allocate(device, entries as usize * size_of::<Descriptor>())?;
        let completion = allocate(device, entries as usize * size_of::<Completion>())?;
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
            // The device may still write them: better lost than overwritten.
            dev_warn!(
                device.pdev(),
                "queue {}: its rings are kept for good\n",
                self.number
            );
            core::mem::forget(self);
        }
    }
}
