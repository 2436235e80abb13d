// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The memory that the model works on: guest memory, device memory and shared words.

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
    /// As large as BAR 0, so that offsets are the BAR's. Only the shared pages are ever used.
    pub shared_pages: SharedMemory,
    /// The device memory, BAR 2.
    pub device_memory: SharedMemory,
    /// Who hears what the device does.
    pub events: Events,
    /// When the clock began to count.
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

    fn check(&self, place: Place, length: usize, access: Access) -> Result<(), Unreachable> {
        let reached = match place {
            Place::Guest(address) => {
                u64::try_from(length).is_ok_and(|length| self.dma.reaches(address, length, access))
            }
            Place::DeviceMemory(offset) => self.device_memory.slice(offset, length).is_some(),
        };
        reached.then_some(()).ok_or(Unreachable)
    }

    /// All `length` bytes at `place`, if they are in one piece and can be reached: almost always.
    fn whole(&self, place: Place, length: usize, access: Access) -> Option<VolatileSlice<'_>> {
        let stretch = match place {
            Place::Guest(address) => self.dma.stretch(address, length, access),
            Place::DeviceMemory(offset) => self.device_memory.slice(offset, length),
        };
        stretch.filter(|stretch| stretch.len() == length)
    }

    /// Memory from `done` bytes behind `place` on: 1 to `left` bytes, as far as it is in one piece.
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

    /// `length` bytes of the shared pages, which the model never leaves.
    fn shared(&self, offset: usize, length: usize) -> Option<VolatileSlice<'_>> {
        let place = self.shared_pages.slice(offset as u64, length);
        debug_assert!(place.is_some(), "no shared memory at {offset:#x}");
        place
    }

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

    /// From the last byte to the first, for guest memory that may overlap.
    fn copy_backwards(&self, from: u64, to: u64, length: usize) -> Result<(), Unreachable> {
        let mut left = length;
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
        if let Some(source) = self.whole(from, data.len(), Access::Read) {
            source.copy_to(data);
            return Ok(());
        }
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
        self.check(from, length, Access::Read)?;
        self.check(to, length, Access::Write)?;
        match (from, to) {
            (Place::Guest(source), Place::Guest(destination)) if source < destination => {
                self.copy_backwards(source, destination, length)
            }
            _ => self.copy_forwards(from, to, length),
        }
    }

    fn load(&self, offset: usize) -> u32 {
        self.shared_pages.load(offset).unwrap_or_default()
    }

    fn store(&self, offset: usize, value: u32) {
        let stored = self.shared_pages.store(offset, value);
        debug_assert!(stored.is_some(), "no shared word at {offset:#x}");
    }

    fn read_shared(&self, offset: usize, data: &mut [u8]) {
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
        fence(Ordering::SeqCst);
    }
}

fn advance(address: u64, bytes: usize) -> Result<u64, Unreachable> {
    u64::try_from(bytes)
        .ok()
        .and_then(|bytes| address.checked_add(bytes))
        .ok_or(Unreachable)
}
