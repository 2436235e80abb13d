// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The shape of a PCI function: identity, BARs, kind of interrupts. It never changes.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use ringbar_vfio_user::device::{Area, Interrupts, Region};
use vfio_bindings::bindings::vfio::{
    VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX,
    VFIO_PCI_NUM_REGIONS,
};

use crate::config_space::{self, Bar, ConfigSpace, Identity, Messages};
use crate::error::Error;
use crate::interrupts::Vectors;
use crate::memory::SharedMemory;

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
    /// Number, 0 to 5. A [`Backing::Memory`] has 64 bits and takes the next number as well.
    pub index: u32,
    /// Memory or trap behind it.
    pub backing: Backing,
}

/// Memory or trap behind a BAR. Its size is a power of two. The function may keep a clone of an
/// `Arc`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Backing {
    /// This many bytes. Each access is a call of the [`Function`](crate::Function).
    Trapped(u64),
    /// Memory that the client maps as a whole.
    Memory(Arc<SharedMemory>),
    /// Memory of which the client maps these parts, at the same offsets. An access that begins
    /// elsewhere is trapped.
    Parts(Arc<SharedMemory>, Vec<Area>),
    /// This many bytes for table and pending bits of MSI-X. The client keeps both itself. So reads
    /// return 0, and writes have no effect.
    Messages(u64),
}

/// The regions and interrupts of a function, as described to the client.
#[derive(Debug)]
pub(crate) struct Description {
    /// By index of VFIO.
    pub(crate) regions: Vec<Region<OwnedFd>>,
    /// By index of VFIO.
    pub(crate) interrupts: Vec<Interrupts>,
}

impl Shape {
    /// Describes the shape to the client.
    ///
    /// # Errors
    ///
    /// Fails if the file behind a BAR cannot be duplicated.
    pub(crate) fn describe(&self, vectors: &Vectors) -> Result<Description, Error> {
        let region = |index| {
            if index == VFIO_PCI_CONFIG_REGION_INDEX {
                return Ok(Region::trapped(config_space::SIZE as u64));
            }
            match self.bars.iter().find(|bar| bar.index == index) {
                Some(bar) => bar.backing.region(),
                None => Ok(Region::EMPTY),
            }
        };
        Ok(Description {
            regions: (0..VFIO_PCI_NUM_REGIONS)
                .map(region)
                .collect::<Result<_, _>>()?,
            interrupts: vectors.types(),
        })
    }

    /// Makes configuration space as after power-on.
    pub(crate) fn config_space(&self) -> ConfigSpace {
        let bars: Vec<Bar> = self
            .bars
            .iter()
            .map(|bar| Bar {
                index: bar.index,
                size: bar.backing.size(),
                wide: bar.backing.is_wide(),
            })
            .collect();
        ConfigSpace::new(self.identity, &bars, self.messages)
    }

    /// Makes the vectors, none of which is connected.
    pub(crate) fn vectors(&self) -> Vectors {
        match self.messages {
            Messages::MsiX { vectors, .. } => Vectors::new(VFIO_PCI_MSIX_IRQ_INDEX, vectors),
            Messages::Msi { vectors } => {
                let vectors = vectors.next_power_of_two().min(config_space::MSI_VECTORS);
                Vectors::new(VFIO_PCI_MSI_IRQ_INDEX, vectors)
            }
        }
    }

    /// Returns the byte of the pending bits that an offset of a region is, if it is one.
    pub(crate) fn pending_byte(&self, region: u32, offset: u64) -> Option<usize> {
        let Messages::MsiX {
            vectors,
            bar,
            pending,
            ..
        } = self.messages
        else {
            return None;
        };
        let byte = usize::try_from(offset.checked_sub(pending.into())?).ok()?;
        // The bits are read in words of 64.
        let size = usize::from(vectors).next_multiple_of(64) / 8;
        (region == bar && byte < size).then_some(byte)
    }

    /// Returns the backing of a region; `None` if it is no BAR.
    pub(crate) fn backing(&self, region: u32) -> Option<&Backing> {
        let bar = self.bars.iter().find(|bar| bar.index == region)?;
        Some(&bar.backing)
    }
}

impl Backing {
    /// Returns whether its BAR has 64 bits.
    pub(crate) fn is_wide(&self) -> bool {
        matches!(self, Self::Memory(_))
    }

    /// Returns the size in bytes.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Trapped(size) | Self::Messages(size) => *size,
            Self::Memory(memory) | Self::Parts(memory, _) => memory.size() as u64,
        }
    }

    /// Describes the BAR to the client, with a file of its own if the client may map a part.
    fn region(&self) -> Result<Region<OwnedFd>, Error> {
        let size = self.size();
        let (memory, areas) = match self {
            Self::Trapped(_) | Self::Messages(_) => return Ok(Region::trapped(size)),
            // One area: the protocol allows none for the whole, but not every client maps it then.
            Self::Memory(memory) => (memory, vec![Area { offset: 0, size }]),
            Self::Parts(memory, areas) => (memory, areas.clone()),
        };
        let file = memory.file().try_clone().map_err(Error::Share)?;
        Ok(Region::shared(size, file.into(), areas))
    }

    /// Returns the memory that an access at `offset` reaches; `None` if it is trapped.
    pub(crate) fn memory(&self, offset: u64) -> Option<&SharedMemory> {
        match self {
            Self::Memory(memory) => Some(memory),
            Self::Parts(memory, areas) => areas
                .iter()
                .any(|area| (area.offset..area.offset.saturating_add(area.size)).contains(&offset))
                .then_some(memory),
            Self::Trapped(_) | Self::Messages(_) => None,
        }
    }
}
