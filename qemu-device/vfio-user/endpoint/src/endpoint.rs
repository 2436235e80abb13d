// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A PCI function with everything around it: configuration space with function level reset and
//! power states, BARs of trapped and mapped parts, MSI-X or MSI, memory of the guest.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ringbar_vfio_user::device::{Device, DmaMap, DmaRange, Interrupts, Region, SetInterrupts};
use ringbar_vfio_user::{Errno, Refusal};

use crate::config_space::{self, ConfigSpace};
use crate::dma::Rights;
use crate::error::Error;
use crate::function::{Bus, Function, Trapped};
use crate::memory::SharedMemory;
use crate::shape::{Backing, Description, Shape};
use crate::shape_fault;

/// A function that can be served, by the thread of the connection alone or in a
/// [`Worker`](crate::Worker).
#[derive(Debug)]
pub struct Endpoint<F> {
    function: F,
    shape: Shape,
    config: ConfigSpace,
    bus: Bus,
    description: Arc<Description>,
}

/// Part of the endpoint that an access reaches.
enum Target<'a> {
    Config,
    Memory(&'a SharedMemory),
    Function,
    /// Pending bits of MSI-X, from this byte on.
    Pending(usize),
    Nothing,
    /// A BAR that does not answer, as memory space is off.
    Silence,
}

impl<F: Function> Endpoint<F> {
    /// Makes a function as after power-on.
    ///
    /// # Errors
    ///
    /// Fails if the shape breaks a rule of PCI, or the file behind a BAR cannot be duplicated.
    pub fn new(function: F, shape: Shape) -> Result<Self, Error> {
        shape_fault::check(&shape)?;
        let vectors = shape.vectors();
        Ok(Self {
            function,
            description: Arc::new(shape.describe(&vectors)?),
            config: shape.config_space(),
            bus: Bus::new(vectors),
            shape,
        })
    }

    /// Returns the function.
    pub fn function(&self) -> &F {
        &self.function
    }

    /// Calls the function with its bus: for work between accesses.
    pub fn run<R>(&mut self, work: impl FnOnce(&mut F, &mut Bus) -> R) -> R {
        work(&mut self.function, &mut self.bus)
    }

    /// Returns the description for the client.
    pub(crate) fn description(&self) -> &Arc<Description> {
        &self.description
    }

    /// Returns the part that an access reaches.
    fn target(&self, region: u32, offset: u64) -> Target<'_> {
        if region == config_space::REGION {
            return Target::Config;
        }
        if !self.config.bars_answer() {
            return Target::Silence;
        }
        if let Some(byte) = self.shape.pending_byte(region, offset) {
            return Target::Pending(byte);
        }
        match self.shape.backing(region) {
            None | Some(Backing::Messages(_)) => Target::Nothing,
            Some(backing) => match backing.memory(offset) {
                // A client may send accesses of memory that it could map.
                Some(memory) => Target::Memory(memory),
                None => Target::Function,
            },
        }
    }

    /// Writes configuration space, and passes on what the write asks of the function.
    fn write_config(&mut self, offset: u64, data: &[u8]) {
        let asked = self.config.write(offset, data);
        self.bus.vectors.set_msix(self.config.msix_is_on());
        self.bus.may_interrupt = self.config.may_interrupt();
        // Bus mastering first: a reset comes with bus mastering off.
        if let Some(on) = asked.bus_master {
            self.set_bus_master(on);
        }
        if asked.function_reset {
            self.function.reset(&mut self.bus);
        }
    }

    /// Switches bus mastering.
    fn set_bus_master(&mut self, on: bool) {
        // The bus before the function, which may want to reach memory at once.
        self.bus.master = on;
        self.function.set_bus_master(on, &mut self.bus);
    }
}

impl<F: Function> Device for Endpoint<F> {
    type Fd = OwnedFd;

    fn regions(&self) -> &[Region<OwnedFd>] {
        &self.description.regions
    }

    fn interrupts(&self) -> &[Interrupts] {
        &self.description.interrupts
    }

    fn read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        match self.target(region, offset) {
            Target::Config => self.config.read(offset, data),
            Target::Memory(memory) => {
                let source = memory.slice(offset, data.len()).ok_or(Errno::INVAL)?;
                source.copy_to(data);
            }
            Target::Function => self.function.read(region, offset, data, &mut self.bus),
            Target::Pending(byte) => self.bus.vectors.read_pending(byte, data),
            Target::Nothing => data.fill(0),
            // As a root complex answers for a function that takes no memory request.
            Target::Silence => data.fill(0xff),
        }
        self.function.note(&Trapped {
            write: false,
            region,
            offset,
            data,
        });
        Ok(())
    }

    fn write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.function.note(&Trapped {
            write: true,
            region,
            offset,
            data,
        });
        match self.target(region, offset) {
            Target::Config => self.write_config(offset, data),
            Target::Memory(memory) => {
                let destination = memory.slice(offset, data.len()).ok_or(Errno::INVAL)?;
                destination.copy_from(data);
            }
            Target::Function => self.function.write(region, offset, data, &mut self.bus),
            Target::Pending(_) | Target::Nothing | Target::Silence => {}
        }
        Ok(())
    }

    fn dma_map(&mut self, map: DmaMap<OwnedFd>) -> Result<(), Refusal> {
        let rights = Rights {
            read: map.read,
            write: map.write,
        };
        let file = map.file.map(|(file, offset)| (File::from(file), offset));
        let kind = if file.is_some() { "file" } else { "no file" };
        self.bus.dma.map(map.range, rights, file)?;
        log::debug!("mapped {}, {kind}, {rights:?}", map.range);
        Ok(())
    }

    fn dma_unmap(&mut self, range: DmaRange) -> Result<(), Refusal> {
        let removed = self.bus.dma.unmap(range)?;
        log::debug!("unmapped {range}: {removed} mappings");
        Ok(())
    }

    fn set_interrupts(&mut self, request: SetInterrupts<OwnedFd>) -> Result<(), Errno> {
        self.bus.vectors.set(request)
    }

    fn reset(&mut self) -> Result<(), Errno> {
        self.config.reset();
        self.bus.vectors.set_msix(false);
        self.bus.may_interrupt = true;
        // Configuration space is at its defaults, so bus mastering is off.
        self.set_bus_master(false);
        self.function.reset(&mut self.bus);
        Ok(())
    }
}
