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

    /// Fails unless all `length` bytes at `place` can be reached.
    fn check(&self, place: Place, length: usize, access: Access) -> Result<(), Unreachable> {
        let reached = match place {
            Place::Guest(address) => {
                u64::try_from(length).is_ok_and(|length| self.dma.reaches(address, length, access))
            }
            Place::DeviceMemory(offset) => self.device_memory.slice(offset, length).is_some(),
        };
        reached.then_some(()).ok_or(Unreachable)
    }

    /// Returns all `length` bytes at `place` if they can be reached and are in one piece: almost
    /// always.
    fn whole(&self, place: Place, length: usize, access: Access) -> Option<VolatileSlice<'_>> {
        let stretch = match place {
            Place::Guest(address) => self.dma.stretch(address, length, access),
            Place::DeviceMemory(offset) => self.device_memory.slice(offset, length),
        };
        stretch.filter(|stretch| stretch.len() == length)
    }

    /// Returns memory from `done` bytes behind `place` on: 1 to `left` bytes, as far as it is in
    /// one piece.
    fn ahead(
        &self,
        place: Place,
        done: usize,
        left: usize,
        access: Access,
    ) -> Result<VolatileSlice<'_>, Unreachable> {
        match place {
            Place::Guest(address) => self.dma.stretch(advance(address, done)?, left, access),
            Place::DeviceMemory(offset) => self.device_memory.slice(advance(offset, done)?, left),
        }
        .ok_or(Unreachable)
    }

    /// Returns `length` bytes of the shared pages. The model never leaves them.
    fn shared(&self, offset: usize, length: usize) -> Option<VolatileSlice<'_>> {
        let place = self.shared_pages.slice(offset as u64, length);
        debug_assert!(place.is_some(), "no shared memory at {offset:#x}");
        place
    }

    /// Copies from the first byte to the last, piece by piece.
    fn copy_forwards(&self, from: Place, to: Place, length: usize) -> Result<(), Unreachable> {
        let mut done = 0;
        while done < length {
            let left = length - done;
            let source = self.ahead(from, done, left, Access::Read)?;
            let destination = self.ahead(to, done, source.len(), Access::Write)?;
            source.copy_to_volatile_slice(destination);
            done += destination.len();
        }
        Ok(())
    }

    /// Copies from the last byte to the first, for guest memory that may overlap.
    fn copy_backwards(&self, from: u64, to: u64, length: usize) -> Result<(), Unreachable> {
        let mut left = length;
        // The last byte that is left, not the first one behind it: that could be another mapping,
        // or none.
        while let Some(steps) = left.checked_sub(1) {
            let source = self
                .dma
                .stretch_back(advance(from, steps)?, left, Access::Read)
                .ok_or(Unreachable)?;
            let destination = self
                .dma
                .stretch_back(advance(to, steps)?, source.len(), Access::Write)
                .ok_or(Unreachable)?;
            source
                // The destination may be shorter. Its bytes are the last ones of the source's
                // piece.
                .offset(source.len() - destination.len())
                .map_err(|_| Unreachable)?
                .copy_to_volatile_slice(destination);
            left -= destination.len();
        }
        Ok(())
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
        // One look-up for the usual case, where memory is in one piece.
        if let Some(source) = self.whole(from, data.len(), Access::Read) {
            source.copy_to(data);
            return Ok(());
        }
        // `Host` promises no effect on a failure, and pieces are copied one after the other. So all
        // of it is looked at first.
        self.check(from, data.len(), Access::Read)?;
        let mut rest = data;
        let mut done = 0;
        while !rest.is_empty() {
            let copied = self
                .ahead(from, done, rest.len(), Access::Read)?
                .copy_to(rest);
            rest = rest.get_mut(copied..).unwrap_or_default();
            done += copied;
        }
        Ok(())
    }

    fn write(&self, to: Place, data: &[u8]) -> Result<(), Unreachable> {
        if let Some(destination) = self.whole(to, data.len(), Access::Write) {
            destination.copy_from(data);
            return Ok(());
        }
        // Without this look a write that fails half-way would leave its first bytes in guest
        // memory.
        self.check(to, data.len(), Access::Write)?;
        let mut rest = data;
        let mut done = 0;
        while !rest.is_empty() {
            let stretch = self.ahead(to, done, rest.len(), Access::Write)?;
            stretch.copy_from(rest);
            rest = rest.get(stretch.len()..).unwrap_or_default();
            done += stretch.len();
        }
        Ok(())
    }

    fn copy(&self, from: Place, to: Place, length: usize) -> Result<(), Unreachable> {
        if let Some(source) = self.whole(from, length, Access::Read)
            && let Some(destination) = self.whole(to, length, Access::Write)
        {
            source.copy_to_volatile_slice(destination);
            return Ok(());
        }
        // Both sides before the first byte, since a failure must have no effect.
        self.check(from, length, Access::Read)?;
        self.check(to, length, Access::Write)?;
        match (from, to) {
            // Pieces of memory that overlaps must be copied from the end, as `memmove` does. In one
            // piece, above, the copy itself does so. Device memory is always one piece.
            (Place::Guest(source), Place::Guest(destination)) if source < destination => {
                self.copy_backwards(source, destination, length)
            }
            _ => self.copy_forwards(from, to, length),
        }
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

/// Returns the address that lies `bytes` further. Fails beyond 2^64.
fn advance(address: u64, bytes: usize) -> Result<u64, Unreachable> {
    u64::try_from(bytes)
        .ok()
        .and_then(|bytes| address.checked_add(bytes))
        .ok_or(Unreachable)
}
