// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device with all its parts. One lock guards it as a whole.
//!
//! Nothing here runs at the same time as anything else. So a request of the client is answered only
//! when no copy is going on.

use std::fmt;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use ringbar_endpoint::dma::Rights;
use ringbar_endpoint::interrupts::Vectors;
use ringbar_model::{Config, Device, Effects, Host as _};
use ringbar_spec::layout::DOORBELL_PAGES;
use ringbar_vfio_user::device::{DmaMap, DmaRange, Interrupts, SetInterrupts};
use ringbar_vfio_user::{Errno, Refusal};
use vm_memory::VolatileSlice;

use crate::config_space::{self, ConfigSpace};
use crate::error::Error;
use crate::events::Events;
use crate::host::Memory;
use crate::options::Options;
use crate::regions::{self, Region};
use crate::trace::{GuestErrors, RegisterName, Trapped, Value, TARGET};

/// Device, configuration space, memory and interrupts.
pub struct State {
    device: Device,
    config: ConfigSpace,
    memory: Memory,
    interrupts: Vectors,
    regions: Vec<Region>,
    guest_errors: GuestErrors,
    work: bool,
    awake: bool,
    deadline: Option<u64>,
}

impl State {
    /// Makes a device as after power-on, without guest memory, that notes its work in `events`.
    pub fn new(options: &Options, events: Events) -> Result<Self, Error> {
        let vectors = options.vectors();
        let mut memory = Memory::new(options.device_memory)?;
        memory.events = events;
        let device = Device::new(Config {
            queues: options.queues,
            vectors,
            device_memory_size: options.device_memory as u64,
        })?;
        Ok(Self {
            device,
            config: config_space::power_on(options.interrupts, vectors, options.device_memory),
            memory,
            interrupts: Vectors::new(options.interrupts.index(), vectors),
            regions: regions::regions(options.interrupts, options.device_memory),
            guest_errors: GuestErrors::default(),
            work: false,
            awake: false,
            deadline: None,
        })
    }

    /// Returns all regions, by index.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Returns the file behind a region that the client may map in part.
    pub fn region_file(&self, region: u32) -> Option<&File> {
        match region {
            regions::REGISTERS => Some(self.memory.shared_pages.file()),
            regions::DEVICE_MEMORY => Some(self.memory.device_memory.file()),
            _ => None,
        }
    }

    /// Returns the interrupt types, by index of VFIO.
    pub fn interrupt_types(&self) -> Vec<Interrupts> {
        self.interrupts.types()
    }

    /// Returns whether [`step`](Self::step) has something to do.
    pub fn has_work(&self) -> bool {
        self.work
    }

    /// Returns whether queues are awake, so that [`poll`](Self::poll) and [`sleep`](Self::sleep)
    /// have something to do.
    pub fn is_awake(&self) -> bool {
        self.awake
    }

    /// Returns the time at which [`poll`](Self::poll) must be called at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        let since = Duration::from_nanos(self.deadline?);
        self.memory.started.checked_add(since)
    }

    /// Carries out a trapped read.
    pub fn read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Error> {
        self.check_bounds(region, offset, data.len())?;
        match region {
            // The model has no part in accesses of shared pages. A client that does not map them
            // reaches them here; the device does not see such an access (data sheet 3).
            regions::REGISTERS => match self.shared_pages(offset, data.len()) {
                Some(memory) => {
                    memory.copy_to(data);
                }
                None => {
                    let effects = self.device.read(offset, data, self.now());
                    self.memory.events.access(false, region, offset, data);
                    self.apply(effects, Cause::Read(offset, data.len()));
                }
            },
            regions::DEVICE_MEMORY => {
                if let Some(memory) = self.memory.device_memory.slice(offset, data.len()) {
                    memory.copy_to(data);
                }
            }
            regions::CONFIG => self.config.read(offset, data),
            // The MSI-X table belongs to QEMU, which keeps the pending bits too.
            _ => data.fill(0),
        }
        trace(false, region, offset, data);
        Ok(())
    }

    /// Carries out a trapped write.
    pub fn write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.check_bounds(region, offset, data.len())?;
        // Before the write: the trace then stands before the lines that the write causes.
        trace(true, region, offset, data);
        match region {
            regions::REGISTERS if is_dropped(offset) => {}
            regions::REGISTERS => match self.shared_pages(offset, data.len()) {
                Some(memory) => memory.copy_from(data),
                None => {
                    let effects = self.device.write(offset, data, self.now(), &self.memory);
                    self.memory.events.access(true, region, offset, data);
                    self.apply(effects, Cause::Write(offset, data));
                }
            },
            regions::DEVICE_MEMORY => {
                if let Some(memory) = self.memory.device_memory.slice(offset, data.len()) {
                    memory.copy_from(data);
                }
            }
            regions::CONFIG => self.write_config(offset, data),
            _ => {}
        }
        Ok(())
    }

    /// Makes guest memory reachable. Memory without a file is accepted, but not reached.
    pub fn dma_map(&mut self, map: DmaMap<OwnedFd>) -> Result<(), Refusal> {
        let rights = Rights {
            read: map.read,
            write: map.write,
        };
        let file = map.file.map(|(file, offset)| (File::from(file), offset));
        let kind = if file.is_some() { "file" } else { "no file" };
        self.memory.dma.map(map.range, rights, file)?;
        log::debug!("mapped {}, {kind}, {rights:?}", map.range);
        Ok(())
    }

    /// Makes guest memory unreachable. The lock ensures that no copy uses it when the client gets
    /// the answer.
    pub fn dma_unmap(&mut self, range: DmaRange) -> Result<(), Refusal> {
        let removed = self.memory.dma.unmap(range)?;
        log::debug!("unmapped {range}: {removed} mappings");
        Ok(())
    }

    /// Connects, disconnects or raises interrupts.
    pub fn set_interrupts(&mut self, request: SetInterrupts<OwnedFd>) -> Result<(), Errno> {
        self.interrupts.set(request)
    }

    /// Resets the device with its configuration space, as at a system reset (data sheet 12).
    pub fn reset(&mut self) {
        self.config.reset();
        // Configuration space is at its defaults, so bus mastering is off (data sheet 12). The
        // model is told, as it knows nothing of configuration space.
        let mut effects = self.device.set_bus_master(false);
        effects |= self.device.reset(self.now(), &self.memory);
        self.apply(effects, Cause::Reset);
    }

    /// Does a bounded piece of the device's work.
    pub fn step(&mut self) {
        let effects = self.device.step(&self.memory);
        self.apply(effects, Cause::Work);
    }

    /// Looks for work in the queues that are awake.
    pub fn poll(&mut self) {
        let effects = self.device.poll(&self.memory);
        self.apply(effects, Cause::Work);
    }

    /// Puts the queues without work to sleep.
    pub fn sleep(&mut self) {
        let effects = self.device.sleep(&self.memory);
        self.apply(effects, Cause::Work);
    }

    /// Writes configuration space, and passes on what the write asks of the device.
    fn write_config(&mut self, offset: u64, data: &[u8]) {
        let asked = self.config.write(offset, data);
        // Bus mastering first: the model's reset leaves it as it is (data sheet 12).
        if let Some(on) = asked.bus_master {
            let effects = self.device.set_bus_master(on);
            self.apply(effects, Cause::Config);
        }
        if asked.function_reset {
            let effects = self.device.reset(self.now(), &self.memory);
            self.apply(effects, Cause::Reset);
        }
    }

    /// Carries out the effects of a call of the model.
    fn apply(&mut self, effects: Effects, cause: Cause<'_>) {
        // The record comes before the interrupt. The guest may react at once, and its accesses
        // would otherwise have earlier times than their cause.
        for vector in effects.interrupts.iter() {
            self.memory.events.interrupt(vector);
            self.interrupts.raise(usize::from(vector));
        }
        self.work = effects.work;
        self.awake = effects.awake;
        self.deadline = effects.deadline;
        // The entries come with the effects: more errors than the log has entries can happen in one
        // step.
        for error in &effects.errors {
            self.guest_errors.note(error, &cause);
            self.memory
                .events
                .error(error.code.0, error.queue(), error.value);
        }
    }

    /// Returns a part of the doorbell and status pages, for clients that do not map them.
    fn shared_pages(&self, offset: u64, length: usize) -> Option<VolatileSlice<'_>> {
        (offset >= DOORBELL_PAGES as u64)
            .then(|| self.memory.shared_pages.slice(offset, length))
            .flatten()
    }

    /// Fails if an access leaves its region.
    fn check_bounds(&self, region: u32, offset: u64, length: usize) -> Result<(), Error> {
        let size = usize::try_from(region)
            .ok()
            .and_then(|index| self.regions.get(index))
            .map_or(0, |region| region.size);
        // Offset and length are the client's, so their sum may pass 2^64.
        let end = u64::try_from(length)
            .ok()
            .and_then(|length| offset.checked_add(length));
        end.filter(|&end| end <= size)
            .map(|_| ())
            .ok_or(Error::OutsideRegion {
                region,
                offset,
                length,
                size,
            })
    }

    /// Returns the time for the model, in nanoseconds.
    fn now(&self) -> u64 {
        self.memory.now()
    }
}

/// Returns whether to drop a write of a register: only a server that is wrong on purpose does.
#[cfg(feature = "sabotage")]
fn is_dropped(offset: u64) -> bool {
    let mask = ringbar_spec::regs::IRQ_MASK::INFO.offset as u64;
    ringbar_model::sabotage::Sabotage::DroppedWrite.is_on() && offset == mask
}

/// Returns false: this server drops no write.
#[cfg(not(feature = "sabotage"))]
fn is_dropped(_offset: u64) -> bool {
    false
}

/// Logs a trapped access, if `--trace` asks for it.
fn trace(write: bool, region: u32, offset: u64, data: &[u8]) {
    log::trace!(
        target: TARGET,
        "{}",
        Trapped {
            write,
            region,
            offset,
            data
        }
    );
}

/// Call during which the device logged an error.
enum Cause<'a> {
    Read(u64, usize),
    Write(u64, &'a [u8]),
    Config,
    Reset,
    Work,
}

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(offset, width) => {
                write!(f, "reading {width} bytes of {}", RegisterName(*offset))
            }
            Self::Write(offset, data) => {
                write!(f, "writing {} to {}", Value(data), RegisterName(*offset))
            }
            Self::Config => f.write_str("a write to configuration space"),
            Self::Reset => f.write_str("a reset"),
            Self::Work => f.write_str("working on a queue"),
        }
    }
}
