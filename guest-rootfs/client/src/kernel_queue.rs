// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A queue whose rings are the kernel's: a system call for each batch.

use crate::{Device, Error};
use ringbar_spec::ring::{Completion, Descriptor};
use std::time::Duration;

/// A queue of the device that the kernel uses on behalf of the process.
///
/// Nothing of it is mapped. It is there for comparison, and for programs that cannot map.
#[derive(Debug)]
pub struct KernelQueue {
    device: Device,
    number: u32,
}

impl KernelQueue {
    pub(crate) fn new(device: &Device, number: u32) -> Self {
        Self {
            device: device.clone(),
            number,
        }
    }

    /// Number of the queue.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Carries out descriptors in order, and gives their completions; the shorter of the two
    /// slices says how many. They may be more than the rings have entries.
    ///
    /// Answers how many were completed.
    pub fn execute(
        &mut self,
        descriptors: &[Descriptor],
        completions: &mut [Completion],
        timeout: Duration,
    ) -> Result<usize, Error> {
        self.device
            .execute(self.number, descriptors, completions, timeout)
    }

    /// Stops the queue and starts it with empty rings.
    pub fn reset(&mut self) -> Result<(), Error> {
        self.device.reset_queue(self.number)
    }

    /// Stops the queue and gives it back.
    pub fn close(self) -> Result<(), Error> {
        self.device.destroy_queue(self.number)
    }
}
