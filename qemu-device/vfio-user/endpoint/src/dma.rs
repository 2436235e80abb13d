// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Guest memory by DMA address.
//!
//! The client maps files of guest memory at DMA addresses, with a vIOMMU page by page. Each file is
//! mapped into this process once and whole. Tens of thousands of small mappings would exceed the
//! kernel's limit. The ranges of DMA addresses refer to these mappings.
//!
//! | file | reached |
//! |---|---|
//! | in memory, without huge pages, sealed against shrinking, open for reading and writing | by loads and stores |
//! | any other in memory or on a disk; open for reading only if the device may only read | by copies of the kernel |
//! | on a file system that another process or machine may serve; open for reading only although the device may write; none | never |
//!
//! A copy of the kernel is slower, and none of its words is atomic. It fails if the file has lost the
//! bytes, which would otherwise kill this process. A mapping that is never reached is accepted, as
//! QEMU ends if one is refused. The log names it once, with the remedy.

mod copy;
mod piece;
mod recent;

use std::fs::File;

use ringbar_vfio_user::device::DmaRange;
use ringbar_vfio_user::ranges::Ranges;
use vm_memory::VolatileSlice;

use crate::error::Error;
use crate::files::{Backing, Files, Place, Unreached};
use piece::{Order, Piece};
use recent::Recent;

/// Rights of the device to a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The device may read.
    pub read: bool,
    /// The device may write.
    pub write: bool,
}

/// Direction of an access by the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    Read,
    /// Write only.
    Write,
}

/// Memory that the device may not reach: it is not mapped, not with this right, or without a file
/// that can be reached, or its file has lost the bytes. For a function, also any memory while bus
/// mastering is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such memory")]
pub struct Unreachable;

impl Rights {
    /// Both rights.
    pub const READ_WRITE: Self = Self {
        read: true,
        write: true,
    };

    /// Checks whether the rights allow an access.
    #[inline]
    fn allow(self, access: Access) -> bool {
        match access {
            Access::Read => self.read,
            Access::Write => self.write,
        }
    }
}

/// What the device keeps with a range.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    rights: Rights,
    backing: Result<Backing, Unreached>,
}

/// A mapped range of DMA addresses whose memory may be touched.
// As large as a cache line: the look-up of each access then needs no multiplication, and one line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Mapped {
    range: DmaRange,
    rights: Rights,
    place: Place,
}

/// The DMA addresses that the client has mapped.
///
/// ```
/// use ringbar_endpoint::dma::{DmaMap, Rights, Unreachable};
/// use ringbar_endpoint::memory::SharedMemory;
/// use ringbar_endpoint::protocol::device::DmaRange;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let guest = SharedMemory::new("guest", 4096)?; // in place of a client's memory
/// let mut map = DmaMap::new();
/// let range = DmaRange::new(0x8000, 4096).ok_or("empty")?;
/// map.map(range, Rights::READ_WRITE, Some((guest.file().try_clone()?, 0)))?;
///
/// map.write(0x8010, &[7, 0, 0, 0])?;
/// assert_eq!(guest.load(0x10), Some(7));
/// assert_eq!(map.write(0x8ffe, &[0; 4]), Err(Unreachable));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct DmaMap {
    ranges: Ranges<Mapping>,
    files: Files,
    recent: Recent,
}

impl DmaMap {
    /// Makes an empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Maps the bytes of a file, from an offset on, at a range of DMA addresses.
    ///
    /// A range without a file is kept but never reached. The same holds for some files, see the
    /// table of this module. The log names the first of each kind.
    ///
    /// # Errors
    ///
    /// Fails if the range overlaps another, or if there are too many ranges. Fails as well if the
    /// file is too short or cannot be mapped.
    pub fn map(
        &mut self,
        range: DmaRange,
        rights: Rights,
        file: Option<(File, u64)>,
    ) -> Result<(), Error> {
        // Before the file: a range that is refused must not leave a mapping of it.
        self.ranges.check_new(range)?;
        let backing = match file {
            Some((file, offset)) => self.files.back(file, offset, range, rights.write)?,
            None => Err(Unreached::NoFile),
        };
        Ok(self.ranges.insert(range, Mapping { rights, backing })?)
    }

    /// Removes every range that lies in `range`. Returns their number.
    ///
    /// # Errors
    ///
    /// Fails if a range would be cut. None is removed then.
    pub fn unmap(&mut self, range: DmaRange) -> Result<usize, Error> {
        let removed = self.ranges.remove(range)?;
        for backing in removed.iter().flat_map(|mapping| mapping.backing) {
            self.files.let_go(backing);
        }
        // The copies of ranges refer to files that may be gone, and would reach memory that the
        // client has taken back.
        self.recent.forget();
        Ok(removed.len())
    }

    /// Returns the number of ranges.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Checks whether no range is mapped.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Returns the number of mapped files.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// Checks whether `access` may be made to all `length` bytes at `address`.
    pub fn reaches(&self, address: u64, length: u64, access: Access) -> bool {
        self.gap(address, length, access).is_none()
    }

    /// Returns the first of `length` bytes at `address` to which `access` may not be made.
    pub fn gap(&self, address: u64, length: u64, access: Access) -> Option<u64> {
        let steps = length.checked_sub(1)?;
        // `None` if the bytes pass the end of the address space.
        let last = address.checked_add(steps);
        let mut next = address;
        loop {
            let found = match self.find(next, access) {
                Some(mapped) => mapped.range,
                None => match self.copied(next, access) {
                    Some((range, _)) => range,
                    None => return Some(next),
                },
            };
            if last.is_some_and(|last| found.last >= last) {
                return None;
            }
            match found.last.checked_add(1) {
                Some(behind) => next = behind,
                // The range ends with the address space and more bytes are wanted. No address
                // stands for them, so the last one that exists is named.
                None => return Some(found.last),
            }
        }
    }

    /// Returns the memory at `address`, up to `length` bytes as far as one range goes. Returns `None`
    /// if it cannot be reached, or by copies only.
    pub fn stretch(
        &self,
        address: u64,
        length: usize,
        access: Access,
    ) -> Option<VolatileSlice<'_>> {
        let found = self.find(address, access)?;
        let (first, length) = Order::Upwards.clip(found.range, address, length)?;
        self.slice(&found, first, length)
    }

    /// Returns the memory that ends with `last`, up to `length` bytes as far as one range goes.
    /// Returns `None` if it cannot be reached, or by copies only.
    pub fn stretch_back(
        &self,
        last: u64,
        length: usize,
        access: Access,
    ) -> Option<VolatileSlice<'_>> {
        let found = self.find(last, access)?;
        let (first, length) = Order::Downwards.clip(found.range, last, length)?;
        self.slice(&found, first, length)
    }

    /// Returns the memory that begins or ends with `at`, up to `length` bytes as far as one range
    /// goes.
    fn piece(&self, at: u64, length: usize, access: Access, order: Order) -> Option<Piece<'_>> {
        if let Some(found) = self.find(at, access) {
            let (first, length) = order.clip(found.range, at, length)?;
            return self.slice(&found, first, length).map(Piece::Touched);
        }
        let (range, place) = self.copied(at, access)?;
        let (first, length) = order.clip(range, at, length)?;
        let skip = first.checked_sub(range.first)?;
        let bytes = self.files.untouched(place, skip, length)?;
        Some(Piece::Copied(bytes))
    }

    /// Returns all `length` bytes at `address` if they can be reached and are in one range.
    // Inlined, as the result is much to pass through memory for a short copy.
    #[inline]
    fn whole(&self, address: u64, length: usize, access: Access) -> Option<VolatileSlice<'_>> {
        let length = u64::try_from(length).ok()?;
        let found = self.find(address, access)?;
        let steps = length.checked_sub(1)?;
        // `find` has returned a range that holds the address.
        if steps > found.range.last.wrapping_sub(address) {
            return None;
        }
        self.slice(&found, address, length)
    }

    /// Returns the range that holds `address`, if it may be touched and allows the access.
    #[inline]
    fn find(&self, address: u64, access: Access) -> Option<Mapped> {
        let found = match self.recent.get(address) {
            Some(mapped) => mapped,
            None => self.search(address)?,
        };
        found.rights.allow(access).then_some(found)
    }

    /// Returns the range that holds `address`, if it may be touched, from the list.
    #[cold]
    fn search(&self, address: u64) -> Option<Mapped> {
        let (range, mapping) = self.ranges.find(address)?;
        let Ok(Backing::Touched(place)) = mapping.backing else {
            return None;
        };
        let mapped = Mapped {
            range,
            rights: mapping.rights,
            place,
        };
        self.recent.put(address, mapped);
        Some(mapped)
    }

    /// Returns the range that holds `address`, if the kernel copies it and it allows the access.
    #[cold]
    fn copied(&self, address: u64, access: Access) -> Option<(DmaRange, Place)> {
        let (range, mapping) = self.ranges.find(address)?;
        match mapping.backing {
            Ok(Backing::Copied(place)) => mapping.rights.allow(access).then_some((range, place)),
            Ok(Backing::Touched(_)) => None,
            Err(reason) => {
                // A mapping without a file is no error before the device wants it: QEMU has none for
                // its own ROM.
                self.files.name(range, reason);
                None
            }
        }
    }

    /// Returns `length` bytes from `first` on, all of them inside the range.
    #[inline]
    fn slice(&self, mapped: &Mapped, first: u64, length: u64) -> Option<VolatileSlice<'_>> {
        let skip = first.wrapping_sub(mapped.range.first);
        self.files.slice(mapped.place, skip, length)
    }
}
