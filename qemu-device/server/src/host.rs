// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The process around the model: guest memory, device memory, shared words, clock and records.

use std::sync::atomic::{fence, Ordering};
use std::sync::Arc;
use std::time::Instant;

use ringbar_endpoint::dma::{Access, DmaMap};
use ringbar_endpoint::function::Bus;
use ringbar_endpoint::memory::SharedMemory;
use ringbar_endpoint::region_files::RegionFiles;
use ringbar_model::{DmaAddress, Host, Location, Note, Unreachable};
use ringbar_spec::layout::{DEVICE_MEMORY_BAR, REGISTER_BAR, REGISTER_BAR_SIZE};
use vm_memory::VolatileSlice;

use crate::error::Error;
use crate::events::Events;

/// The outside of the model, as a server gives it. [`ServedMemory`] is that of an honest server.
pub trait Outside {
    /// The process as the model sees it, for one call.
    type Host<'a>: Host
    where
        Self: 'a;

    /// Returns the memory of the device itself.
    fn memory(&self) -> &ServedMemory;

    /// Returns the process as the model sees it, with the guest memory behind `bus`.
    fn host<'a>(&'a self, bus: &'a Bus) -> Self::Host<'a>;

    /// Raises an interrupt.
    fn interrupt(&self, vector: u16, bus: &mut Bus) {
        bus.interrupt(usize::from(vector));
    }
}

/// Memory of the device itself, with the other services of this process.
#[derive(Debug)]
pub struct ServedMemory {
    /// As large as BAR 0, so that offsets are the BAR's. Only doorbell and status pages are ever
    /// used.
    pub shared_pages: Arc<SharedMemory>,
    /// The device memory, BAR 2.
    pub device_memory: Arc<SharedMemory>,
    /// Record of the device's work.
    pub events: Events,
    /// Time 0 of the model's clock.
    pub started: Instant,
}

/// The process as the model sees it, for one call.
pub struct ModelHost<'a> {
    memory: &'a ServedMemory,
    // Also in `memory`, two steps further: each look at a doorbell would take them.
    shared_pages: &'a SharedMemory,
    /// Guest memory; `None` while bus mastering is off.
    guest: Option<&'a DmaMap>,
}

impl ServedMemory {
    /// Makes the shared pages and `device_memory` bytes of device memory in new files.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses the memory.
    pub fn new(device_memory: usize, events: Events) -> Result<Self, Error> {
        Self::in_files(&RegionFiles::default(), device_memory, events)
    }

    /// Makes the shared pages and `device_memory` bytes of device memory in these files.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses the memory, or a file does not fit.
    pub fn in_files(
        files: &RegionFiles,
        device_memory: usize,
        events: Events,
    ) -> Result<Self, Error> {
        let make = |bar, name, size| files.memory(bar, name, size).map(Arc::new);
        Ok(Self {
            shared_pages: make(REGISTER_BAR, "ringbar-shared-pages", REGISTER_BAR_SIZE)?,
            device_memory: make(DEVICE_MEMORY_BAR, "ringbar-device-memory", device_memory)?,
            events,
            started: Instant::now(),
        })
    }

    /// Returns the time for the model, in nanoseconds.
    pub fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Returns the process as the model sees it, with this guest memory or none.
    #[inline]
    pub fn host_with<'a>(&'a self, guest: Option<&'a DmaMap>) -> ModelHost<'a> {
        ModelHost {
            memory: self,
            shared_pages: &self.shared_pages,
            guest,
        }
    }
}

impl Outside for ServedMemory {
    type Host<'a> = ModelHost<'a>;

    fn memory(&self) -> &ServedMemory {
        self
    }

    #[inline]
    fn host<'a>(&'a self, bus: &'a Bus) -> ModelHost<'a> {
        self.host_with(bus.memory())
    }
}

impl<'a> ModelHost<'a> {
    /// Returns the guest memory.
    #[inline]
    fn guest(&self) -> Result<&'a DmaMap, Unreachable> {
        self.guest.ok_or(Unreachable)
    }

    /// Returns `length` bytes of the device memory. The model never leaves it.
    #[inline]
    fn device(&self, offset: u64, length: usize) -> Result<VolatileSlice<'a>, Unreachable> {
        let memory = &self.memory.device_memory;
        memory.slice(offset, length).ok_or(Unreachable)
    }

    /// Returns `length` bytes of the shared pages. The model never leaves them.
    #[inline]
    fn shared(&self, offset: usize, length: usize) -> Option<VolatileSlice<'a>> {
        let place = self.shared_pages.slice(offset as u64, length);
        debug_assert!(place.is_some(), "no shared memory at {offset:#x}");
        place
    }

    /// Copies from or to the device memory, or both.
    // Not inlined where the model copies, as most copies are from guest memory to guest memory.
    #[inline(never)]
    fn copy_with_device(
        &self,
        from: Location,
        to: Location,
        length: usize,
    ) -> Result<(), Unreachable> {
        match (from, to) {
            (Location::Guest(from), Location::Guest(to)) => self.guest()?.copy(from, to, length),
            (Location::Guest(from), Location::DeviceMemory(to)) => {
                self.guest()?.copy_out(from, self.device(to, length)?)
            }
            (Location::DeviceMemory(from), Location::Guest(to)) => {
                self.guest()?.copy_in(self.device(from, length)?, to)
            }
            (Location::DeviceMemory(from), Location::DeviceMemory(to)) => {
                let to = self.device(to, length)?;
                self.device(from, length)?.copy_to_volatile_slice(to);
                Ok(())
            }
        }
        .or(Err(Unreachable))
    }
}

impl Host for ModelHost<'_> {
    fn now(&self) -> u64 {
        self.memory.now()
    }

    #[inline]
    fn is_watched(&self) -> bool {
        self.memory.events.is_on()
    }

    fn note(&self, note: Note<'_>) {
        self.memory.events.note(note);
    }

    #[inline]
    fn unreachable(&self, address: DmaAddress, length: u64, write: bool) -> Option<DmaAddress> {
        let access = if write { Access::Write } else { Access::Read };
        match self.guest {
            Some(guest) => guest.gap(address, length, access),
            // No byte is reached.
            None => (length > 0).then_some(address),
        }
    }

    #[inline]
    fn read(&self, from: Location, data: &mut [u8]) -> Result<(), Unreachable> {
        match from {
            Location::Guest(address) => self.guest()?.read(address, data).or(Err(Unreachable)),
            Location::DeviceMemory(offset) => {
                self.device(offset, data.len())?.copy_to(data);
                Ok(())
            }
        }
    }

    #[inline]
    fn write(&self, to: Location, data: &[u8]) -> Result<(), Unreachable> {
        match to {
            Location::Guest(address) => self.guest()?.write(address, data).or(Err(Unreachable)),
            Location::DeviceMemory(offset) => {
                self.device(offset, data.len())?.copy_from(data);
                Ok(())
            }
        }
    }

    #[inline]
    fn copy(&self, from: Location, to: Location, length: usize) -> Result<(), Unreachable> {
        match (from, to) {
            (Location::Guest(from), Location::Guest(to)) => {
                self.guest()?.copy(from, to, length).or(Err(Unreachable))
            }
            _ => self.copy_with_device(from, to, length),
        }
    }

    #[inline]
    fn load(&self, offset: usize) -> u32 {
        // Acquire, by `SharedMemory`: reads after it see all that the driver side wrote before the
        // word.
        self.shared_pages.load(offset).unwrap_or_default()
    }

    #[inline]
    fn store(&self, offset: usize, value: u32) {
        // Release, by `SharedMemory`: a driver side that sees the word sees all that was written
        // before it.
        let stored = self.shared_pages.store(offset, value);
        debug_assert!(stored.is_some(), "no shared word at {offset:#x}");
    }

    #[inline]
    fn read_shared(&self, offset: usize, data: &mut [u8]) {
        // A plain copy. It stays behind the acquire load of the word that says that the bytes are
        // there.
        if let Some(place) = self.shared(offset, data.len()) {
            place.copy_to(data);
        }
    }

    #[inline]
    fn write_shared(&self, offset: usize, data: &[u8]) {
        if let Some(place) = self.shared(offset, data.len()) {
            place.copy_from(data);
        }
    }

    #[inline]
    fn fence(&self) {
        // A fence of the processor, not only of the compiler: the driver side runs on another
        // processor.
        fence(Ordering::SeqCst);
    }
}
