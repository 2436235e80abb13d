// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The memory on which the model works: guest memory, device memory and shared words.

use std::sync::atomic::{fence, Ordering};
use std::time::Instant;

use ringbar_endpoint::dma::{Access, DmaMap};
use ringbar_endpoint::memory::SharedMemory;
use ringbar_model::{DmaAddress, Host, Note, Place, Unreachable};
use ringbar_spec::layout::REGISTER_BAR_SIZE;
use vm_memory::VolatileSlice;

use crate::error::Error;
use crate::events::Events;

/// All memory that the device reaches.
#[derive(Debug)]
pub struct Memory {
    /// Guest memory, by DMA address.
    pub dma: DmaMap,
    /// As large as BAR 0, so that offsets are the BAR's. Only doorbell and status pages are ever
    /// used.
    pub shared_pages: SharedMemory,
    /// The device memory, BAR 2.
    pub device_memory: SharedMemory,
    /// Record of the device's work.
    pub events: Events,
    /// Time 0 of the model's clock.
    pub started: Instant,
}

impl Memory {
    /// Makes the shared pages and `device_memory` bytes of device memory; no guest memory yet.
    pub fn new(device_memory: usize) -> Result<Self, Error> {
        Ok(Self {
            dma: DmaMap::new(),
            shared_pages: SharedMemory::new("ringbar-shared-pages", REGISTER_BAR_SIZE)?,
            device_memory: SharedMemory::new("ringbar-device-memory", device_memory)?,
            events: Events::default(),
            started: Instant::now(),
        })
    }

    /// Returns `length` bytes of the device memory. The model never leaves it.
    fn device(&self, offset: u64, length: usize) -> Result<VolatileSlice<'_>, Unreachable> {
        self.device_memory.slice(offset, length).ok_or(Unreachable)
    }

    /// Returns `length` bytes of the shared pages. The model never leaves them.
    fn shared(&self, offset: usize, length: usize) -> Option<VolatileSlice<'_>> {
        let place = self.shared_pages.slice(offset as u64, length);
        debug_assert!(place.is_some(), "no shared memory at {offset:#x}");
        place
    }
}

impl Host for Memory {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn is_watched(&self) -> bool {
        self.events.is_on()
    }

    fn note(&self, note: Note<'_>) {
        self.events.note(note);
    }

    fn unreachable(&self, address: DmaAddress, length: u64, write: bool) -> Option<DmaAddress> {
        let access = if write { Access::Write } else { Access::Read };
        self.dma.gap(address, length, access)
    }

    fn read(&self, from: Place, data: &mut [u8]) -> Result<(), Unreachable> {
        match from {
            Place::Guest(address) => self.dma.read(address, data).or(Err(Unreachable)),
            Place::DeviceMemory(offset) => {
                self.device(offset, data.len())?.copy_to(data);
                Ok(())
            }
        }
    }

    fn write(&self, to: Place, data: &[u8]) -> Result<(), Unreachable> {
        match to {
            Place::Guest(address) => self.dma.write(address, data).or(Err(Unreachable)),
            Place::DeviceMemory(offset) => {
                self.device(offset, data.len())?.copy_from(data);
                Ok(())
            }
        }
    }

    fn copy(&self, from: Place, to: Place, length: usize) -> Result<(), Unreachable> {
        match (from, to) {
            (Place::Guest(from), Place::Guest(to)) => self.dma.copy(from, to, length),
            (Place::Guest(from), Place::DeviceMemory(to)) => {
                self.dma.copy_out(from, self.device(to, length)?)
            }
            (Place::DeviceMemory(from), Place::Guest(to)) => {
                self.dma.copy_in(self.device(from, length)?, to)
            }
            (Place::DeviceMemory(from), Place::DeviceMemory(to)) => {
                let to = self.device(to, length)?;
                self.device(from, length)?.copy_to_volatile_slice(to);
                Ok(())
            }
        }
        .or(Err(Unreachable))
    }

    fn load(&self, offset: usize) -> u32 {
        // Acquire, by `SharedMemory`: reads after it see all that the driver side wrote before the
        // word.
        self.shared_pages.load(offset).unwrap_or_default()
    }

    fn store(&self, offset: usize, value: u32) {
        // Release, by `SharedMemory`: a driver side that sees the word sees all that was written
        // before it.
        let stored = self.shared_pages.store(offset, value);
        debug_assert!(stored.is_some(), "no shared word at {offset:#x}");
    }

    fn read_shared(&self, offset: usize, data: &mut [u8]) {
        // A plain copy. It stays behind the acquire load of the word that says that the bytes are
        // there.
        if let Some(place) = self.shared(offset, data.len()) {
            place.copy_to(data);
        }
    }

    fn write_shared(&self, offset: usize, data: &[u8]) {
        if let Some(place) = self.shared(offset, data.len()) {
            place.copy_from(data);
        }
    }

    fn fence(&self) {
        // A fence of the processor, not only of the compiler: the driver side runs on another
        // processor.
        fence(Ordering::SeqCst);
    }
}
