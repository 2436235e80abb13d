// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device behind a session.

use rustix::io::Errno;

/// A device as the protocol sees it.
///
/// What arrives here has been checked: indices exist, ranges lie inside, rights are there, DMA
/// ranges do not overlap, interrupt requests have a meaning. An error becomes the error number of
/// the reply, if the client waits for one, and changes nothing in the session.
///
/// Nothing here may wait for the client: it answers nothing as long as it waits itself.
pub trait Device {
    /// File descriptors: `OwnedFd` over a socket, anything in a test.
    type Fd;

    /// The regions, by index of VFIO. Does not change.
    fn regions(&self) -> &[Region<Self::Fd>];

    /// The interrupt types, by index of VFIO. Does not change.
    fn interrupts(&self) -> &[Interrupts];

    /// Reads `data.len()` bytes at `offset` of a region.
    fn read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Errno>;

    /// Writes `data` at `offset` of a region.
    fn write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Errno>;

    /// Makes memory of the client reachable.
    fn dma_map(&mut self, map: DmaMap<Self::Fd>) -> Result<(), Errno>;

    /// Makes the mappings that lie in the range unreachable; none is in it in part only.
    ///
    /// Returns when no access to them is under way.
    fn dma_unmap(&mut self, range: DmaRange) -> Result<(), Errno>;

    /// Connects, masks or raises interrupts.
    fn set_interrupts(&mut self, request: SetInterrupts<Self::Fd>) -> Result<(), Errno>;

    /// Resets the device, as at a system reset. Mappings and connected interrupts stay.
    fn reset(&mut self) -> Result<(), Errno>;
}

/// A region of the device. One that the device does not have has size 0.
#[derive(Clone, Debug)]
pub struct Region<Fd> {
    /// Size in bytes.
    pub size: u64,
    /// The client may read.
    pub read: bool,
    /// The client may write.
    pub write: bool,
    /// Memory that the client may map.
    pub shared: Option<Shared<Fd>>,
}

impl<Fd> Region<Fd> {
    /// No region.
    pub const EMPTY: Self = Self {
        size: 0,
        read: false,
        write: false,
        shared: None,
    };

    /// A region of which each access is a message.
    pub const fn trapped(size: u64) -> Self {
        Self {
            size,
            read: true,
            write: true,
            shared: None,
        }
    }

    /// A region that the client may map in part, or as a whole if `areas` is empty.
    pub fn shared(size: u64, file: Fd, areas: Vec<Area>) -> Self {
        Self {
            shared: Some(Shared {
                file,
                offset: 0,
                areas,
            }),
            ..Self::trapped(size)
        }
    }
}

/// The file behind a region.
#[derive(Clone, Debug)]
pub struct Shared<Fd> {
    /// The file.
    pub file: Fd,
    /// Where in the file the region begins.
    pub offset: u64,
    /// The parts of the region that may be mapped; all of it if there is none.
    pub areas: Vec<Area>,
}

/// A part of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub size: u64,
}

/// Interrupts of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interrupts {
    /// How many.
    pub count: u32,
    /// `VFIO_IRQ_INFO_…`
    pub flags: u32,
}

/// Consecutive DMA addresses. The end is inclusive, as one past it may not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DmaRange {
    /// First address.
    pub first: u64,
    /// Last address.
    pub last: u64,
}

impl DmaRange {
    /// All addresses.
    pub const ALL: Self = Self {
        first: 0,
        last: u64::MAX,
    };

    /// `size` bytes from `address`; `None` if that is nothing or passes 2^64.
    pub fn new(address: u64, size: u64) -> Option<Self> {
        Some(Self {
            first: address,
            last: address.checked_add(size.checked_sub(1)?)?,
        })
    }

    /// How many bytes; `None` for [`ALL`](Self::ALL), which are too many for a number.
    pub fn size(self) -> Option<u64> {
        self.last.checked_sub(self.first)?.checked_add(1)
    }
}

/// Memory that the client makes reachable.
#[derive(Debug)]
pub struct DmaMap<Fd> {
    /// Its DMA addresses, whole pages.
    pub range: DmaRange,
    /// The device may read it.
    pub read: bool,
    /// The device may write it.
    pub write: bool,
    /// The file to map, and where in it the range begins. That the file is long enough is for the
    /// device to check. Without a file the memory can be reached by message only.
    pub file: Option<(Fd, u64)>,
}

/// A request about interrupts.
#[derive(Debug)]
pub struct SetInterrupts<Fd> {
    /// Type of interrupt, an index of VFIO.
    pub index: u32,
    /// First interrupt.
    pub start: u32,
    /// Number of interrupts; never 0 but for [`Data::DisableAll`].
    pub count: u32,
    /// What to do.
    pub action: Action,
    /// To which of them.
    pub data: Data<Fd>,
}

/// What to do with interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Hold it back. Only for types with `VFIO_IRQ_INFO_MASKABLE`.
    Mask,
    /// No longer hold it back. Only for types with `VFIO_IRQ_INFO_MASKABLE`.
    Unmask,
    /// Raise it.
    Trigger,
}

/// Which interrupts, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data<Fd> {
    /// All interrupts of the type are disconnected.
    DisableAll,
    /// The action is done to each.
    Each,
    /// The action is done to each one whose entry is true; as many as the request counts.
    Chosen(Vec<bool>),
    /// From now on the action is signalled through these; as many as the request counts.
    Connect(Vec<Fd>),
    /// From now on the action is not signalled any more.
    Disconnect,
}
