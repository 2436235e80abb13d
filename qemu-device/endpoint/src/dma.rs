// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Which DMA address stands for which byte of guest memory.
//!
//! The client maps files of guest memory at DMA addresses, with a vIOMMU page by page. Each file
//! is mapped into this process once and whole, as tens of thousands of small mappings would pass
//! the kernel's limit; the ranges of DMA addresses refer to it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Weak};

use vm_memory::mmap::MmapRegionError;
use vm_memory::{FileOffset, MmapRegion, VolatileMemory, VolatileSlice};

use crate::error::Error;

/// Most ranges at once: what QEMU limits itself to.
pub const MAX_MAPPINGS: usize = 65_535;

/// What the device may do with a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The device may read.
    pub read: bool,
    /// The device may write.
    pub write: bool,
}

/// What the device wants to do.
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

    fn allow(self, access: Access) -> bool {
        match access {
            Access::Read => self.read,
            Access::Write => self.write,
        }
    }
}

/// A file, however many descriptors there are of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FileId {
    device: u64,
    inode: u64,
}

/// Where the bytes of a range are.
#[derive(Debug)]
struct Backing {
    file: Arc<MmapRegion>,
    offset: u64,
}

/// A mapped range of DMA addresses. Its first address is the key in the map.
#[derive(Debug)]
struct Range {
    /// Last address: the end of a range at the top would not fit.
    last: u64,
    rights: Rights,
    /// `None` for memory that came without a file; the device cannot reach it.
    backing: Option<Backing>,
}

/// The DMA addresses that the client has mapped.
#[derive(Debug, Default)]
pub struct DmaMap {
    ranges: BTreeMap<u64, Range>,
    files: HashMap<FileId, Weak<MmapRegion>>,
}

impl DmaMap {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Maps `size` bytes from `offset` of `file` at `address`.
    ///
    /// Without a file the range is remembered but cannot be reached.
    pub fn map(
        &mut self,
        address: u64,
        size: u64,
        rights: Rights,
        file: Option<File>,
        offset: u64,
    ) -> Result<(), Error> {
        let last = last_address(address, size).ok_or(Error::DmaRange { address, size })?;
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
        if self.ranges.len() >= MAX_MAPPINGS {
            return Err(Error::DmaMappings(MAX_MAPPINGS));
        }
        let backing = file.map(|file| self.back(file, offset, size)).transpose()?;
        self.ranges.insert(
            address,
            Range {
                last,
                rights,
                backing,
            },
        );
        Ok(())
    }

    /// Removes every range that lies wholly in the `size` bytes from `address`; says how many.
    ///
    /// A range that lies in part outside stays whole. `size` may pass the end of the address
    /// space, as QEMU's does at tear-down.
    pub fn unmap(&mut self, address: u64, size: u64) -> Result<usize, Error> {
        let Some(length) = size.checked_sub(1) else {
            return Err(Error::DmaRange { address, size });
        };
        let last = address.saturating_add(length);
        let inside: Vec<u64> = self
            .ranges
            .range(address..=last)
            .filter(|(_, range)| range.last <= last)
            .map(|(&start, _)| start)
            .collect();
        for start in &inside {
            self.ranges.remove(start);
        }
        self.forget_unused_files();
        Ok(inside.len())
    }

    /// Removes every range; says how many there were.
    pub fn unmap_all(&mut self) -> usize {
        let count = self.ranges.len();
        self.ranges.clear();
        self.files.clear();
        count
    }

    /// Number of ranges.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether `access` may be made to all `length` bytes at `address`.
    pub fn reaches(&self, address: u64, length: u64, access: Access) -> bool {
        let Some(steps) = length.checked_sub(1) else {
            return true;
        };
        let Some(last) = address.checked_add(steps) else {
            return false;
        };
        let mut next = address;
        loop {
            let Some((_, range)) = self.find(next, access) else {
                return false;
            };
            if range.last >= last {
                return true;
            }
            // Less than `last`, so there is an address behind it.
            next = range.last.saturating_add(1);
        }
    }

    /// The memory at `address`, up to `length` bytes as far as one range goes.
    pub fn stretch(
        &self,
        address: u64,
        length: usize,
        access: Access,
    ) -> Option<VolatileSlice<'_>> {
        let (start, range) = self.find(address, access)?;
        let steps = u64::try_from(length).ok()?.checked_sub(1)?;
        let last = address.saturating_add(steps).min(range.last);
        range.slice(start, address, last)
    }

    /// The memory that ends with `last`, up to `length` bytes as far as one range goes.
    pub fn stretch_back(
        &self,
        last: u64,
        length: usize,
        access: Access,
    ) -> Option<VolatileSlice<'_>> {
        let (start, range) = self.find(last, access)?;
        let steps = u64::try_from(length).ok()?.checked_sub(1)?;
        range.slice(start, last.saturating_sub(steps).max(start), last)
    }

    /// The range that holds `address`, if it can be reached and the access be made.
    fn find(&self, address: u64, access: Access) -> Option<(u64, &Range)> {
        let (&start, range) = self.ranges.range(..=address).next_back()?;
        (range.last >= address && range.backing.is_some() && range.rights.allow(access))
            .then_some((start, range))
    }

    /// Finds or makes the mapping of `file` and checks that it holds the bytes.
    fn back(&mut self, file: File, offset: u64, size: u64) -> Result<Backing, Error> {
        let metadata = file.metadata().map_err(Error::DmaMap)?;
        let file_size = metadata.len();
        if offset.checked_add(size).is_none_or(|end| end > file_size) {
            return Err(Error::DmaFile {
                offset,
                size,
                file_size,
            });
        }
        let id = FileId {
            device: metadata.dev(),
            inode: metadata.ino(),
        };
        let size =
            usize::try_from(file_size).map_err(|error| Error::DmaMap(io::Error::other(error)))?;
        let known = self.files.get(&id).and_then(Weak::upgrade);
        // A file that grew is mapped anew; the ranges made before keep the old mapping.
        let mapping = match known.filter(|mapping| mapping.size() >= size) {
            Some(mapping) => mapping,
            None => {
                let mapping = MmapRegion::from_file(FileOffset::new(file, 0), size)
                    .map(Arc::new)
                    .map_err(map_error)?;
                self.files.insert(id, Arc::downgrade(&mapping));
                mapping
            }
        };
        Ok(Backing {
            file: mapping,
            offset,
        })
    }

    fn forget_unused_files(&mut self) {
        self.files.retain(|_, file| file.strong_count() > 0);
    }

    /// Number of files that are mapped.
    pub fn files(&self) -> usize {
        self.files.len()
    }
}

impl Range {
    /// The memory from `first` to `last`, both inside the range that begins at `start`.
    fn slice(&self, start: u64, first: u64, last: u64) -> Option<VolatileSlice<'_>> {
        let backing = self.backing.as_ref()?;
        let offset = backing.offset.checked_add(first.checked_sub(start)?)?;
        let length = last.checked_sub(first)?.checked_add(1)?;
        backing
            .file
            .get_slice(usize::try_from(offset).ok()?, usize::try_from(length).ok()?)
            .ok()
    }
}

fn last_address(address: u64, size: u64) -> Option<u64> {
    address.checked_add(size.checked_sub(1)?)
}

fn map_error(error: MmapRegionError) -> Error {
    Error::DmaMap(match error {
        MmapRegionError::Mmap(error) => error,
        other => io::Error::other(other),
    })
}
