// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Guest memory by DMA address.
//!
//! The client maps files of guest memory at DMA addresses, with a vIOMMU page by page. Each file is
//! mapped into this process once and whole. Tens of thousands of small mappings would exceed the
//! kernel's limit. The ranges of DMA addresses refer to these mappings.

mod copy;
mod recent;

use std::fs::File;

use ringbar_vfio_user::device::DmaRange;
use ringbar_vfio_user::ranges::Ranges;
use vm_memory::VolatileSlice;

use crate::error::Error;
use crate::files::{Backing, Files};
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

/// Memory that the device may not reach: it is not mapped, not with this right, or came without a
/// file. For a function, also any memory while bus mastering is off.
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
    /// `None` for memory that came without a file, or with one that may lose bytes; the device
    /// cannot reach it.
    backing: Option<Backing>,
}

/// A mapped range of DMA addresses that has memory.
// As large as a cache line: the look-up of each access then needs no multiplication, and one line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Mapped {
    range: DmaRange,
    rights: Rights,
    backing: Backing,
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
    /// A range without a file is kept but cannot be reached. The same holds for a file that may
    /// lose bytes; the log names the first of these.
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
            Some((file, offset)) => self.files.back(file, offset, range)?,
            None => None,
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
        for backing in removed.iter().filter_map(|mapping| mapping.backing) {
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
            let Some(Mapped { range: found, .. }) = self.find(next, access) else {
                return Some(next);
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

    /// Returns the memory at `address`, up to `length` bytes as far as one range goes.
    pub fn stretch(
        &self,
        address: u64,
        length: usize,
        access: Access,
    ) -> Option<VolatileSlice<'_>> {
        let found = self.find(address, access)?;
        let steps = u64::try_from(length).ok()?.checked_sub(1)?;
        let last = address.saturating_add(steps).min(found.range.last);
        self.slice(&found, address, last.wrapping_sub(address).wrapping_add(1))
    }

    /// Returns the memory that ends with `last`, up to `length` bytes as far as one range goes.
    pub fn stretch_back(
        &self,
        last: u64,
        length: usize,
        access: Access,
    ) -> Option<VolatileSlice<'_>> {
        let found = self.find(last, access)?;
        let steps = u64::try_from(length).ok()?.checked_sub(1)?;
        let first = last.saturating_sub(steps).max(found.range.first);
        self.slice(&found, first, last.wrapping_sub(first).wrapping_add(1))
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

    /// Returns the range that holds `address`, if it can be reached and allows the access.
    #[inline]
    fn find(&self, address: u64, access: Access) -> Option<Mapped> {
        let found = match self.recent.get(address) {
            Some(mapped) => mapped,
            None => self.search(address)?,
        };
        found.rights.allow(access).then_some(found)
    }

    /// Returns the range that holds `address`, if it can be reached, from the list.
    #[cold]
    fn search(&self, address: u64) -> Option<Mapped> {
        let (range, mapping) = self.ranges.find(address)?;
        let mapped = Mapped {
            range,
            rights: mapping.rights,
            backing: mapping.backing?,
        };
        self.recent.put(address, mapped);
        Some(mapped)
    }

    /// Returns `length` bytes from `first` on, all of them inside the range.
    #[inline]
    fn slice(&self, mapped: &Mapped, first: u64, length: u64) -> Option<VolatileSlice<'_>> {
        let skip = first.wrapping_sub(mapped.range.first);
        self.files.slice(mapped.backing, skip, length)
    }
}
