// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device behind a session.

use std::fmt;

use rustix::io::Errno;

use crate::wire::{KERNEL_MAX_FDS, MAX_FDS};
use crate::Refusal;

/// A device as the protocol sees it.
///
/// Arguments have been checked: indices exist, accesses lie inside, rights are there, DMA ranges
/// are whole pages, interrupt requests have a meaning. An error becomes the error number of the
/// reply, if the client waits for one, and changes nothing in the session.
///
/// No method may wait for the client, which answers nothing while it waits for the reply.
pub trait Device {
    /// File descriptors: `OwnedFd` over a socket, anything in a test.
    type Fd;

    /// Returns the regions, by index of VFIO. They do not change.
    fn regions(&self) -> &[Region<Self::Fd>];

    /// Returns the interrupt types, by index of VFIO. They do not change.
    fn interrupts(&self) -> &[Interrupts];

    /// Reads `data.len()` bytes at `offset` of a region.
    fn read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Errno>;

    /// Writes `data` at `offset` of a region.
    fn write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Errno>;

    /// Makes memory of the client reachable.
    ///
    /// # Errors
    ///
    /// Fails by the rules of [`Ranges`](crate::ranges::Ranges), in which the device keeps its
    /// mappings, or if it cannot map the file.
    fn dma_map(&mut self, map: DmaMap<Self::Fd>) -> Result<(), Refusal>;

    /// Makes the mappings that lie in the range unreachable. Returns when no access to them is
    /// under way.
    ///
    /// # Errors
    ///
    /// Fails by the rules of [`Ranges`](crate::ranges::Ranges). No mapping is removed then.
    fn dma_unmap(&mut self, range: DmaRange) -> Result<(), Refusal>;

    /// Connects, masks or raises interrupts.
    fn set_interrupts(&mut self, request: SetInterrupts<Self::Fd>) -> Result<(), Errno>;

    /// Resets the device, as at a system reset. Mappings and connected interrupts stay.
    fn reset(&mut self) -> Result<(), Errno>;
}

/// A region of the device. A region that the device does not have has size 0.
///
/// ```
/// use ringbar_vfio_user::device::Region;
///
/// let registers: Region<()> = Region::trapped(4096);
/// let read_only = Region { write: false, ..registers.clone() };
/// assert!(read_only.read && registers.holds(4092, 4));
/// assert!(!registers.holds(4093, 4));
/// ```
#[derive(Clone, Debug)]
pub struct Region<Fd> {
    /// Size in bytes.
    pub size: u64,
    /// Whether the client may read.
    pub read: bool,
    /// Whether the client may write.
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

    /// Makes a region of which each access is a message.
    pub const fn trapped(size: u64) -> Self {
        Self {
            size,
            read: true,
            write: true,
            shared: None,
        }
    }

    /// Checks whether `count` bytes from `offset` on lie inside. The session asks this of each
    /// access, so the device need not.
    pub fn holds(&self, offset: u64, count: u64) -> bool {
        // Both are the client's, so their sum may pass 2^64.
        offset
            .checked_add(count)
            .is_some_and(|end| end <= self.size)
    }

    /// Makes a region that the client may map in part, or as a whole if `areas` is empty.
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
    /// Offset of the region in the file.
    pub offset: u64,
    /// Parts of the region that the client may map; all of it if there are none.
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
    /// Number of interrupts.
    pub count: u32,
    /// Flags: `VFIO_IRQ_INFO_…`.
    pub flags: u32,
}

/// Consecutive DMA addresses. The end is inclusive, as one past it may not fit.
///
/// ```
/// use ringbar_vfio_user::device::DmaRange;
///
/// let last_page = DmaRange::new(0_u64.wrapping_sub(4096), 4096).unwrap();
/// assert_eq!(last_page.last, u64::MAX);
/// assert_eq!(last_page.size(), Some(4096));
/// assert_eq!(DmaRange::new(u64::MAX, 2), None);
/// ```
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

    /// Makes the range of `size` bytes from `address`; `None` if it is empty or passes 2^64.
    pub fn new(address: u64, size: u64) -> Option<Self> {
        Some(Self {
            first: address,
            last: address.checked_add(size.checked_sub(1)?)?,
        })
    }

    /// Makes the range of `size` bytes from `address` to unmap. It may pass 2^64, as QEMU's does
    /// when it takes everything down. `None` if it is empty.
    pub fn up_to_end(address: u64, size: u64) -> Option<Self> {
        Some(Self {
            first: address,
            last: address.saturating_add(size.checked_sub(1)?),
        })
    }

    /// Returns the number of bytes; `None` for [`ALL`](Self::ALL), which has 2^64.
    pub fn size(self) -> Option<u64> {
        self.last.checked_sub(self.first)?.checked_add(1)
    }
}

impl fmt::Display for DmaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x} to {:#x}", self.first, self.last)
    }
}

/// Memory that the client makes reachable.
#[derive(Debug)]
pub struct DmaMap<Fd> {
    /// Its DMA addresses, whole pages.
    pub range: DmaRange,
    /// Whether the device may read it.
    pub read: bool,
    /// Whether the device may write it.
    pub write: bool,
    /// The file to map, and the offset of the range in it. The device checks that the file is long
    /// enough. Memory without a file can be reached by message only.
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
    /// Action on the interrupts.
    pub action: Action,
    /// Interrupts to which it applies.
    pub data: Data<Fd>,
}

/// Returns the most descriptors that one message to a device has: one for each interrupt of a type,
/// as far as the kernel delivers them.
pub(crate) fn most_fds<D: Device>(device: &D) -> usize {
    let counts = device.interrupts().iter().map(|type_| type_.count);
    let most = counts.max().and_then(|count| usize::try_from(count).ok());
    most.unwrap_or(0).clamp(MAX_FDS, KERNEL_MAX_FDS)
}

/// Action on interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Hold them back. Only for types with `VFIO_IRQ_INFO_MASKABLE`.
    Mask,
    /// No longer hold them back. Only for types with `VFIO_IRQ_INFO_MASKABLE`.
    Unmask,
    /// Raise them.
    Trigger,
}

/// Interrupts to which an action applies, and the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data<Fd> {
    /// Disconnect all interrupts of the type.
    DisableAll,
    /// Apply the action to each interrupt.
    Each,
    /// Apply the action to each interrupt whose entry is true. There are as many entries as the
    /// request counts.
    Chosen(Vec<bool>),
    /// Signal the action through these from now on. There are as many as the request counts.
    Connect(Vec<Fd>),
    /// Signal the action no more.
    Disconnect,
}
