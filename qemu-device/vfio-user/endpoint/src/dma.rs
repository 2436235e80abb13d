// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Guest memory by DMA address.
//!
//! The client maps files of guest memory at DMA addresses, with a vIOMMU page by page. Each file is
//! mapped into this process once and whole. Tens of thousands of small mappings would exceed the
//! kernel's limit. The ranges of DMA addresses refer to these mappings.
//!
//! A touch of a byte that the file has lost kills the process. So a file is mapped only if no other
//! process can take bytes from it any more; see [`keeps_its_bytes`].

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use log::Level;
use rustix::fs::{fcntl_get_seals, fstatfs, FsWord, SealFlags};
use vm_memory::mmap::MmapRegionError;
use vm_memory::{FileOffset, MmapRegion, VolatileMemory, VolatileSlice};

use crate::client_log;
use crate::error::Error;
use crate::status::{FileId, Status};

/// Most ranges at once: QEMU's own limit.
pub const MAX_MAPPINGS: usize = 65_535;

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

impl Rights {
    /// Both rights.
    pub const READ_WRITE: Self = Self {
        read: true,
        write: true,
    };

    /// Checks whether the rights allow an access.
    fn allow(self, access: Access) -> bool {
        match access {
            Access::Read => self.read,
            Access::Write => self.write,
        }
    }
}

/// A file that is mapped into this process as a whole.
#[derive(Debug)]
struct MappedFile {
    id: FileId,
    mapping: MmapRegion,
    /// Number of ranges that refer to it.
    ranges: usize,
}

/// Position of the bytes of a range.
#[derive(Clone, Copy, Debug)]
struct Backing {
    /// Index in the list of files.
    file: usize,
    offset: u64,
}

/// A mapped range of DMA addresses.
#[derive(Clone, Copy, Debug)]
struct Range {
    first: u64,
    /// Last address: the end of a range at the top would not fit.
    last: u64,
    rights: Rights,
    /// `None` for memory that came without a file, or with one that may lose bytes; the device
    /// cannot reach it.
    backing: Option<Backing>,
}

/// The DMA addresses that the client has mapped.
#[derive(Debug, Default)]
pub struct DmaMap {
    /// By first address.
    ranges: BTreeMap<u64, Range>,
    /// An entry is empty when no range refers to it any more.
    files: Vec<Option<MappedFile>>,
    recent: Recent,
    /// Whether the log names a file that may lose bytes.
    warned: bool,
}

impl DmaMap {
    /// Makes an empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Maps `size` bytes from `offset` of `file` at `address`.
    ///
    /// A range without a file is kept but cannot be reached. The same holds for a file that may
    /// lose bytes; the log names the first of these.
    ///
    /// # Errors
    ///
    /// Fails if the range is empty, passes 2^64 or overlaps another, or if there are too many
    /// ranges. Fails as well if the file is too short or cannot be mapped.
    pub fn map(
        &mut self,
        address: u64,
        size: u64,
        rights: Rights,
        file: Option<File>,
        offset: u64,
    ) -> Result<(), Error> {
        let last = last_address(address, size).ok_or(Error::DmaRange { address, size })?;
        // Ranges do not overlap, so the last one that begins at or before `last` is the only one to
        // look at.
        if let Some((&other, _)) = self
            .ranges
            .range(..=last)
            .next_back()
            .filter(|(_, range)| range.last >= address)
        {
            return Err(Error::DmaOverlap {
                address,
                size,
                other,
            });
        }
        // Otherwise a client could make the server allocate without bound.
        if self.ranges.len() >= MAX_MAPPINGS {
            return Err(Error::DmaMappings(MAX_MAPPINGS));
        }
        let backing = match file {
            Some(file) => self.back(file, offset, size)?,
            None => None,
        };
        self.ranges.insert(
            address,
            Range {
                first: address,
                last,
                rights,
                backing,
            },
        );
        Ok(())
    }

    /// Removes every range that lies wholly in the `size` bytes from `address`. Returns their
    /// number.
    ///
    /// A range that lies in part outside stays whole. `size` may pass the end of the address space,
    /// as QEMU's does at tear-down.
    ///
    /// # Errors
    ///
    /// Fails if `size` is 0.
    pub fn unmap(&mut self, address: u64, size: u64) -> Result<usize, Error> {
        let Some(length) = size.checked_sub(1) else {
            return Err(Error::DmaRange { address, size });
        };
        let last = address.saturating_add(length);
        let inside: Vec<Range> = self
            .ranges
            .range(address..=last)
            .map(|(_, range)| *range)
            .filter(|range| range.last <= last)
            .collect();
        for range in &inside {
            self.ranges.remove(&range.first);
            if let Some(backing) = range.backing {
                self.let_go(backing.file);
            }
        }
        // The copies of ranges refer to files that may be gone, and would reach memory that the
        // client has taken back.
        self.recent.forget();
        Ok(inside.len())
    }

    /// Removes every range. Returns their number.
    pub fn unmap_all(&mut self) -> usize {
        let count = self.ranges.len();
        self.ranges.clear();
        self.files.clear();
        self.recent.forget();
        count
    }

    /// Returns the number of ranges.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Checks whether no range is mapped.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
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
            let Some(range) = self.find(next, access) else {
                return Some(next);
            };
            if last.is_some_and(|last| range.last >= last) {
                return None;
            }
            match range.last.checked_add(1) {
                Some(behind) => next = behind,
                // The range ends with the address space and more bytes are wanted. No address
                // stands for them, so the last one that exists is named.
                None => return Some(range.last),
            }
        }
    }

    /// Returns the memory at `address`, up to `length` bytes as far as one range goes.
    // Inlined, as the result is much to pass through memory for a short copy.
    #[inline]
    pub fn stretch(
        &self,
        address: u64,
        length: usize,
        access: Access,
    ) -> Option<VolatileSlice<'_>> {
        let range = self.find(address, access)?;
        let steps = u64::try_from(length).ok()?.checked_sub(1)?;
        let last = address.saturating_add(steps).min(range.last);
        self.slice(&range, address, last)
    }

    /// Returns the memory that ends with `last`, up to `length` bytes as far as one range goes.
    pub fn stretch_back(
        &self,
        last: u64,
        length: usize,
        access: Access,
    ) -> Option<VolatileSlice<'_>> {
        let range = self.find(last, access)?;
        let steps = u64::try_from(length).ok()?.checked_sub(1)?;
        self.slice(&range, last.saturating_sub(steps).max(range.first), last)
    }

    /// Returns the range that holds `address`, if it can be reached and allows the access.
    #[inline]
    fn find(&self, address: u64, access: Access) -> Option<Range> {
        let range = match self.recent.get(address) {
            Some(range) => range,
            None => self.search(address)?,
        };
        (range.backing.is_some() && range.rights.allow(access)).then_some(range)
    }

    /// Returns the range that holds `address`, from the tree.
    #[cold]
    fn search(&self, address: u64) -> Option<Range> {
        let (_, range) = self.ranges.range(..=address).next_back()?;
        let range = range.holds(address).then_some(*range)?;
        self.recent.put(address, range);
        Some(range)
    }

    /// Returns the memory from `first` to `last`, both inside the range.
    #[inline]
    fn slice(&self, range: &Range, first: u64, last: u64) -> Option<VolatileSlice<'_>> {
        let backing = range.backing?;
        let offset = backing.offset.wrapping_add(first.wrapping_sub(range.first));
        let length = last.wrapping_sub(first).wrapping_add(1);
        let file = self.files.get(backing.file)?.as_ref()?;
        // Bounds are enforced by the mapping, not by the fields of the range.
        file.mapping
            .get_slice(usize::try_from(offset).ok()?, usize::try_from(length).ok()?)
            .ok()
    }

    /// Finds or makes the mapping of `file` for one more range, and checks that it holds the bytes.
    /// Returns `None` if the file may lose them.
    fn back(&mut self, file: File, offset: u64, size: u64) -> Result<Option<Backing>, Error> {
        // The seal before the size: a file that is not sealed could shrink between the two, and the
        // size would be too large.
        let keeps = keeps_its_bytes(&file).map_err(Error::DmaMap)?;
        let status = Status::of(&file).map_err(|error| Error::DmaMap(error.into()))?;
        let file_size = status.size;
        if offset.checked_add(size).is_none_or(|end| end > file_size) {
            return Err(Error::DmaFile {
                offset,
                size,
                file_size,
            });
        }
        // The mapping is accepted all the same, and the memory is not reached. One warning is
        // enough: a client may map as often as it wants.
        if !keeps {
            if !self.warned {
                client_log::note(
                    module_path!(),
                    Level::Warn,
                    format_args!(
                        "guest memory that is not sealed against shrinking, or of huge pages, \
                         cannot be reached: QEMU's memory-backend-memfd has the right kind"
                    ),
                );
                self.warned = true;
            }
            return Ok(None);
        }
        let size =
            usize::try_from(file_size).map_err(|error| Error::DmaMap(io::Error::other(error)))?;
        // A file that grew is mapped a second time. Ranges that were made before keep the old
        // mapping.
        for (index, known) in self.files.iter_mut().enumerate() {
            if let Some(known) = known
                && known.id == status.id
                && known.mapping.size() >= size
            {
                known.ranges += 1;
                return Ok(Some(Backing {
                    file: index,
                    offset,
                }));
            }
        }
        let mapped = MappedFile {
            id: status.id,
            mapping: MmapRegion::from_file(FileOffset::new(file, 0), size).map_err(map_error)?,
            ranges: 1,
        };
        let index = match self.files.iter().position(Option::is_none) {
            Some(index) => index,
            None => {
                self.files.push(None);
                self.files.len() - 1
            }
        };
        if let Some(place) = self.files.get_mut(index) {
            *place = Some(mapped);
        }
        Ok(Some(Backing {
            file: index,
            offset,
        }))
    }

    /// Drops one reference to a mapped file, and the mapping with the last.
    fn let_go(&mut self, index: usize) {
        if let Some(place) = self.files.get_mut(index) {
            place.take_if(|file| {
                file.ranges = file.ranges.saturating_sub(1);
                file.ranges == 0
            });
        }
    }

    /// Returns the number of mapped files.
    pub fn files(&self) -> usize {
        self.files.iter().flatten().count()
    }
}

impl Range {
    /// Checks whether the range holds an address.
    fn holds(&self, address: u64) -> bool {
        (self.first..=self.last).contains(&address)
    }
}

/// Ranges that were found lately, so that the tree is seldom searched. It must forget all when a
/// range is removed.
#[derive(Debug)]
struct Recent([Cell<Option<Range>>; RECENT]);

/// Number of entries: enough for the rings and the pages of the buffers in use at the same time.
const RECENT: usize = 64;
/// Bits of an address within the smallest range that a vIOMMU makes.
const PAGE_SHIFT: u32 = 12;

impl Default for Recent {
    fn default() -> Self {
        Self([const { Cell::new(None) }; RECENT])
    }
}

impl Recent {
    /// Returns the range that holds `address`, if it was found lately.
    #[inline]
    fn get(&self, address: u64) -> Option<Range> {
        let found = self.place(address)?.get();
        // Entries are shared by addresses, so the entry may hold another range.
        found.filter(|range| range.holds(address))
    }

    /// Keeps a range that was found.
    fn put(&self, address: u64, range: Range) {
        if let Some(place) = self.place(address) {
            place.set(Some(range));
        }
    }

    /// Forgets all ranges.
    fn forget(&self) {
        for place in &self.0 {
            place.set(None);
        }
    }

    /// Returns the entry for an address.
    fn place(&self, address: u64) -> Option<&Cell<Option<Range>>> {
        self.0.get((address >> PAGE_SHIFT) as usize % RECENT)
    }
}

/// The file system of memory files, of `linux/magic.h`.
const TMPFS_MAGIC: FsWord = 0x0102_1994;

/// Checks that no other process can take bytes of the file from under its mapping.
///
/// Only files of `memfd_create` can be sealed against shrinking. A hole in one reads as 0, but not
/// with huge pages: if none is left in their pool, a touch of the hole kills the process.
fn keeps_its_bytes(file: &File) -> io::Result<bool> {
    let sealed = fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SealFlags::SHRINK));
    Ok(sealed && fstatfs(file)?.f_type == TMPFS_MAGIC)
}

/// Returns the last of `size` addresses; `None` if there are none, or they pass 2^64.
fn last_address(address: u64, size: u64) -> Option<u64> {
    address.checked_add(size.checked_sub(1)?)
}

/// Returns the system's error behind that of a mapping.
fn map_error(error: MmapRegionError) -> Error {
    Error::DmaMap(match error {
        MmapRegionError::Mmap(error) => error,
        other => io::Error::other(other),
    })
}
