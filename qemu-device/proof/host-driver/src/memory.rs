// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The memory of a guest that does not exist.

use crate::Error;
use rustix::fs::{fcntl_add_seals, ftruncate, memfd_create, MemfdFlags, SealFlags};
use std::fs::File;
use std::io;
use vm_memory::{FileOffset, MmapRegion, VolatileMemory};

/// A file in memory, mapped. Pieces are taken from its start on.
pub(crate) struct GuestMemory {
    file: File,
    mapping: MmapRegion,
    used: usize,
}

impl GuestMemory {
    /// Makes `size` bytes, all 0.
    pub(crate) fn new(size: usize) -> Result<Self, Error> {
        let make = || -> io::Result<File> {
            let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
            let file = File::from(memfd_create("host-driver", flags)?);
            ftruncate(&file, size as u64)?;
            // The server maps no file that may shrink.
            fcntl_add_seals(&file, SealFlags::SHRINK)?;
            Ok(file)
        };
        let file = make().map_err(Error::Memory)?;
        Ok(Self {
            mapping: map(&file, size)?,
            file,
            used: 0,
        })
    }

    /// Takes whole pages. Returns the offset of the first byte.
    pub(crate) fn take(&mut self, size: usize) -> Result<usize, Error> {
        let start = self.used;
        let end = start.checked_add(size.next_multiple_of(PAGE));
        let end = end.filter(|end| *end <= self.mapping.size());
        self.used = end.ok_or(Error::Full(size))?;
        Ok(start)
    }

    /// Returns the file, for the server to map.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Returns the size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.mapping.size()
    }

    /// Returns the mapping of the file.
    pub(crate) fn mapping(&self) -> &MmapRegion {
        &self.mapping
    }
}

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;

/// Maps the first `size` bytes of a file.
pub(crate) fn map(file: &File, size: usize) -> Result<MmapRegion, Error> {
    let file = file.try_clone().map_err(Error::Memory)?;
    MmapRegion::from_file(FileOffset::new(file, 0), size)
        .map_err(|error| Error::Memory(io::Error::other(error)))
}

/// Stores bytes.
///
/// # Panics
///
/// Panics if they leave the memory.
pub(crate) fn store(memory: &MmapRegion, offset: usize, bytes: &[u8]) {
    let slice = memory.get_slice(offset, bytes.len());
    slice.expect("it was taken").copy_from(bytes);
}

/// Loads bytes.
///
/// # Panics
///
/// Panics if they leave the memory.
pub(crate) fn load(memory: &MmapRegion, offset: usize, bytes: &mut [u8]) {
    let slice = memory.get_slice(offset, bytes.len());
    slice.expect("it was taken").copy_to(bytes);
}
