// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory that a driver side on the host shares with the device, in mappings of `vm-memory`.
//!
//! A crate of its own, so that the guest's programs and the model do not depend on `vm-memory`.

#![forbid(unsafe_code)]

use ringbar_driver_side::Shared;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use vm_memory::{MmapRegion, VolatileMemory, VolatileSlice};

/// BAR 0 and guest memory, both mapped as a whole. Clones are the same mappings.
#[derive(Clone, Debug)]
pub struct Mapped {
    /// BAR 0. Only its shared pages have a meaning.
    pub registers: Arc<MmapRegion>,
    /// Guest memory.
    pub memory: Arc<MmapRegion>,
    /// DMA address of the first byte of guest memory.
    pub base: u64,
}

impl Mapped {
    /// Returns a word of BAR 0.
    fn word(&self, offset: usize) -> &AtomicU32 {
        let word = self.registers.get_atomic_ref(offset);
        word.expect("an aligned word of BAR 0")
    }

    /// Returns bytes of guest memory, from a DMA address on.
    fn bytes(&self, address: u64, length: usize) -> VolatileSlice<'_> {
        let offset = address.checked_sub(self.base);
        let bytes = offset.and_then(|at| self.memory.get_slice(at as usize, length).ok());
        bytes.expect("bytes of guest memory")
    }
}

impl Shared for Mapped {
    fn load(&self, offset: usize) -> u32 {
        self.word(offset).load(Ordering::Acquire)
    }

    fn store(&self, offset: usize, value: u32) {
        self.word(offset).store(value, Ordering::Release);
    }

    fn read_page(&self, offset: usize, bytes: &mut [u8]) {
        let page = self.registers.get_slice(offset, bytes.len());
        page.expect("bytes of BAR 0").copy_to(bytes);
    }

    fn write_page(&self, offset: usize, bytes: &[u8]) {
        let page = self.registers.get_slice(offset, bytes.len());
        page.expect("bytes of BAR 0").copy_from(bytes);
    }

    fn read(&self, address: u64, bytes: &mut [u8]) {
        self.bytes(address, bytes.len()).copy_to(bytes);
    }

    fn write(&self, address: u64, bytes: &[u8]) {
        self.bytes(address, bytes.len()).copy_from(bytes);
    }
}
