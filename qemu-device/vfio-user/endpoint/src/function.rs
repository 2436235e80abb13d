// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A PCI function from its registers: all that a small device needs.
//!
//! A [`Function`] reads and writes its trapped BARs, and resets itself. All else is here:
//! configuration space with function level reset and power states, BARs that the client maps, MSI-X
//! or MSI. Memory of the guest is behind a [`Bus`] that checks each address.

use std::fs::File;
use std::os::fd::OwnedFd;

use ringbar_vfio_user::device::{
    Device, DmaMap as DmaMapRequest, DmaRange, Interrupts, Region, SetInterrupts,
};
use ringbar_vfio_user::{Errno, Refusal};
use vfio_bindings::bindings::vfio::{
    VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX,
    VFIO_PCI_NUM_REGIONS,
};

use crate::config_space::{self, Bar, ConfigSpace, Identity, Messages};
use crate::dma::{DmaMap, Rights, Unreachable};
use crate::error::Error;
use crate::interrupts::Vectors;
use crate::memory::SharedMemory;

/// Behaviour of a PCI function.
///
/// Accesses lie inside the BAR. A guest's have 1, 2, 4 or 8 bytes; a client may send any length, so
/// the function must handle every length. No method may wait.
pub trait Function {
    /// Reads a trapped BAR. Bytes that it does not fill in read as they were passed: 0.
    fn read(&mut self, bar: u32, offset: u64, data: &mut [u8], bus: &mut Bus);

    /// Writes to a trapped BAR.
    fn write(&mut self, bar: u32, offset: u64, data: &[u8], bus: &mut Bus);

    /// Returns all registers to their values after power-on.
    fn reset(&mut self);
}

/// Shape of a PCI function.
#[derive(Debug)]
pub struct Shape {
    /// Identity in configuration space.
    pub identity: Identity,
    /// Its BARs, with the one for MSI-X.
    pub bars: Vec<BarShape>,
    /// Kind of interrupts.
    pub messages: Messages,
}

/// Shape of a BAR.
#[derive(Debug)]
pub struct BarShape {
    /// Number, 0 to 5. A BAR with memory has 64 bits and takes the next number as well.
    pub index: u32,
    /// Memory or trap behind it.
    pub backing: Backing,
}

/// Memory or trap behind a BAR.
#[derive(Debug)]
pub enum Backing {
    /// This many bytes, a power of two. Each access is a call of the [`Function`].
    Trapped(u64),
    /// Memory that the client maps. The function may keep a clone of the `Arc`.
    Memory(std::sync::Arc<SharedMemory>),
}

/// The outside of a function: memory of the guest, and the function's interrupts.
#[derive(Debug)]
pub struct Bus {
    dma: DmaMap,
    vectors: Vectors,
    master: bool,
}

/// A function that can be served.
#[derive(Debug)]
pub struct Endpoint<F> {
    function: F,
    bars: Vec<BarShape>,
    config: ConfigSpace,
    bus: Bus,
    regions: Vec<Region<OwnedFd>>,
    interrupts: Vec<Interrupts>,
}

impl Bus {
    /// Copies memory of the guest. Copies none of it if not all can be reached.
    pub fn read(&self, address: u64, data: &mut [u8]) -> Result<(), Unreachable> {
        self.memory().ok_or(Unreachable)?.read(address, data)
    }

    /// Copies into memory of the guest. Copies nothing if not all can be reached.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), Unreachable> {
        self.memory().ok_or(Unreachable)?.write(address, data)
    }

    /// Returns the memory of the guest; `None` while bus mastering is off.
    pub fn memory(&self) -> Option<&DmaMap> {
        self.master.then_some(&self.dma)
    }

    /// Raises an interrupt. While bus mastering is off it is dropped: an MSI is a write to memory.
    pub fn interrupt(&mut self, vector: usize) {
        if self.master {
            self.vectors.raise(vector);
        }
    }
}

impl<F: Function> Endpoint<F> {
    /// Makes a function as after power-on.
    ///
    /// # Errors
    ///
    /// Fails if the file behind a BAR cannot be duplicated.
    pub fn new(function: F, shape: Shape) -> Result<Self, Error> {
        let mut regions: Vec<Region<OwnedFd>> =
            (0..VFIO_PCI_NUM_REGIONS).map(|_| Region::EMPTY).collect();
        let mut bars = Vec::new();
        for BarShape { index, backing } in &shape.bars {
            let (size, region) = match backing {
                Backing::Trapped(size) => (*size, Region::trapped(*size)),
                Backing::Memory(memory) => {
                    let size = memory.size() as u64;
                    let file = memory.file().try_clone().map_err(Error::Share)?;
                    (size, Region::shared(size, file.into(), Vec::new()))
                }
            };
            bars.push(Bar {
                index: *index,
                size,
                wide: matches!(backing, Backing::Memory(_)),
            });
            if let Some(place) = region_mut(&mut regions, *index) {
                *place = region;
            }
        }
        if let Some(place) = region_mut(&mut regions, VFIO_PCI_CONFIG_REGION_INDEX) {
            *place = Region::trapped(config_space::SIZE as u64);
        }
        let vectors = match shape.messages {
            Messages::MsiX { vectors, .. } => Vectors::new(VFIO_PCI_MSIX_IRQ_INDEX, vectors),
            Messages::Msi { vectors } => {
                Vectors::new(VFIO_PCI_MSI_IRQ_INDEX, vectors.next_power_of_two().min(32))
            }
        };
        Ok(Self {
            function,
            config: ConfigSpace::new(shape.identity, &bars, shape.messages),
            interrupts: vectors.types(),
            bus: Bus {
                dma: DmaMap::new(),
                vectors,
                master: false,
            },
            bars: shape.bars,
            regions,
        })
    }

    /// Returns the memory behind a region, if it has one.
    fn memory(&self, region: u32) -> Option<&SharedMemory> {
        self.bars.iter().find_map(|bar| match &bar.backing {
            Backing::Memory(memory) if bar.index == region => Some(&**memory),
            _ => None,
        })
    }
}

impl<F: Function> Device for Endpoint<F> {
    type Fd = OwnedFd;

    fn regions(&self) -> &[Region<OwnedFd>] {
        &self.regions
    }

    fn interrupts(&self) -> &[Interrupts] {
        &self.interrupts
    }

    fn read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        if region == VFIO_PCI_CONFIG_REGION_INDEX {
            self.config.read(offset, data);
        } else if let Some(memory) = self.memory(region) {
            // A client may send accesses of memory that it could map.
            let source = memory.slice(offset, data.len()).ok_or(Errno::INVAL)?;
            source.copy_to(data);
        } else {
            self.function.read(region, offset, data, &mut self.bus);
        }
        Ok(())
    }

    fn write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Errno> {
        if region == VFIO_PCI_CONFIG_REGION_INDEX {
            let asked = self.config.write(offset, data);
            // From configuration space itself, as the power state counts as well and a reset has
            // changed it.
            self.bus.master = self.config.bus_master();
            if asked.function_reset {
                self.function.reset();
            }
        } else if let Some(memory) = self.memory(region) {
            let destination = memory.slice(offset, data.len()).ok_or(Errno::INVAL)?;
            destination.copy_from(data);
        } else {
            self.function.write(region, offset, data, &mut self.bus);
        }
        Ok(())
    }

    fn dma_map(&mut self, map: DmaMapRequest<OwnedFd>) -> Result<(), Refusal> {
        let rights = Rights {
            read: map.read,
            write: map.write,
        };
        let file = map.file.map(|(file, offset)| (File::from(file), offset));
        Ok(self.bus.dma.map(map.range, rights, file)?)
    }

    fn dma_unmap(&mut self, range: DmaRange) -> Result<(), Refusal> {
        self.bus.dma.unmap(range)?;
        Ok(())
    }

    fn set_interrupts(&mut self, request: SetInterrupts<OwnedFd>) -> Result<(), Errno> {
        self.bus.vectors.set(request)
    }

    fn reset(&mut self) -> Result<(), Errno> {
        self.config.reset();
        self.bus.master = false;
        self.function.reset();
        Ok(())
    }
}

/// Returns the region with this index, if VFIO has one.
fn region_mut(regions: &mut [Region<OwnedFd>], index: u32) -> Option<&mut Region<OwnedFd>> {
    regions.get_mut(usize::try_from(index).ok()?)
}
