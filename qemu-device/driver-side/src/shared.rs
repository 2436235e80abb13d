// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory that driver side and device share. The device can change all of it at any time.

use std::ops::Deref;

/// Doorbell and status pages, and the memory that the device reaches by DMA.
///
/// # Panics
///
/// Each access panics if it leaves the memory, or if a word is not aligned. The places come from the
/// driver side, never from the device.
pub trait Shared {
    /// Loads a word of BAR 0. Later accesses are ordered after it (acquire).
    fn load(&self, offset: usize) -> u32;

    /// Stores a word of BAR 0. Earlier accesses are ordered before it (release).
    fn store(&self, offset: usize, value: u32);

    /// Copies bytes out of a shared page of BAR 0.
    fn read_page(&self, offset: usize, bytes: &mut [u8]);

    /// Copies bytes into a shared page of BAR 0.
    fn write_page(&self, offset: usize, bytes: &[u8]);

    /// Copies bytes out of memory, from a DMA address on.
    fn read(&self, address: u64, bytes: &mut [u8]);

    /// Copies bytes into memory, from a DMA address on.
    fn write(&self, address: u64, bytes: &[u8]);
}

impl<P> Shared for P
where
    P: Deref,
    P::Target: Shared,
{
    fn load(&self, offset: usize) -> u32 {
        (**self).load(offset)
    }

    fn store(&self, offset: usize, value: u32) {
        (**self).store(offset, value);
    }

    fn read_page(&self, offset: usize, bytes: &mut [u8]) {
        (**self).read_page(offset, bytes);
    }

    fn write_page(&self, offset: usize, bytes: &[u8]) {
        (**self).write_page(offset, bytes);
    }

    fn read(&self, address: u64, bytes: &mut [u8]) {
        (**self).read(address, bytes);
    }

    fn write(&self, address: u64, bytes: &[u8]) {
        (**self).write(address, bytes);
    }
}
