// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A queue whose rings are the kernel's: a system call for each batch, or to move bytes.

use crate::{Device, Error};
use ringbar_spec::ring::{Completion, Descriptor};
use ringbar_uapi::ioctl;
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

    /// Writes bytes into a window, from `offset` on.
    ///
    /// They are copied twice, by the kernel and by the device, in pieces: the way to a window for
    /// memory that the device cannot reach itself.
    pub fn write(
        &mut self,
        window: u16,
        offset: u64,
        bytes: &[u8],
        timeout: Duration,
    ) -> Result<(), Error> {
        let address = bytes.as_ptr().expose_provenance() as u64;
        self.transfer(
            window,
            offset,
            address,
            bytes.len(),
            ioctl::TRANSFER_INTO_WINDOW,
            timeout,
        )
    }

    /// Reads bytes out of a window, from `offset` on, as [`write`](Self::write) does.
    pub fn read(
        &mut self,
        window: u16,
        offset: u64,
        bytes: &mut [u8],
        timeout: Duration,
    ) -> Result<(), Error> {
        let address = bytes.as_mut_ptr().expose_provenance() as u64;
        self.transfer(
            window,
            offset,
            address,
            bytes.len(),
            ioctl::TRANSFER_OUT_OF_WINDOW,
            timeout,
        )
    }

    fn transfer(
        &self,
        window: u16,
        offset: u64,
        address: u64,
        length: usize,
        direction: u32,
        timeout: Duration,
    ) -> Result<(), Error> {
        self.device.transfer(&mut ioctl::Transfer {
            address,
            offset,
            length: length as u64,
            queue: self.number,
            window: window.into(),
            direction,
            timeout_ms: timeout.as_millis().try_into().unwrap_or(u32::MAX),
            ..Default::default()
        })
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
