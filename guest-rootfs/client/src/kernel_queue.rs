// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A queue whose rings belong to the kernel. Each batch or transfer is a system call.

use crate::{Device, Error};
use ringbar_spec::ring::{Completion, Descriptor};
use ringbar_uapi::ioctl;
use std::time::Duration;

/// A queue of the device that the kernel uses on behalf of the process.
///
/// None of it is mapped. It serves for comparison, and for programs that cannot map memory.
#[derive(Debug)]
pub struct KernelQueue {
    device: Device,
    number: u32,
}

impl KernelQueue {
    /// Returns a handle on a queue that the driver has made.
    pub(crate) fn new(device: &Device, number: u32) -> Self {
        Self {
            device: device.clone(),
            number,
        }
    }

    /// Returns the number of the queue.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Carries out descriptors in order and writes their completions. The shorter slice limits the
    /// count. The count may exceed the entries of the rings.
    ///
    /// Returns the number of completed descriptors. A signal does not end it: it goes on with the
    /// descriptors that are left, for the time that is left.
    pub fn execute(
        &mut self,
        descriptors: &[Descriptor],
        completions: &mut [Completion],
        timeout: Duration,
    ) -> Result<usize, Error> {
        self.device
            .execute(self.number, descriptors, completions, timeout)
    }

    /// Writes bytes into a window, starting at `offset`.
    ///
    /// The kernel and the device copy each piece once. This is the way to a window for memory that
    /// the device cannot reach itself. A signal does not end it.
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

    /// Reads bytes out of a window, starting at `offset`, as [`write`](Self::write) does.
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

    /// Moves bytes between the process and a window, in the given direction.
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

    /// Stops the queue and destroys it.
    pub fn close(self) -> Result<(), Error> {
        self.device.destroy_queue(self.number)
    }
}
