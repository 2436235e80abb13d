// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The memory of a guest that does not exist.

use crate::Error;
use rustix::fs::{fcntl_add_seals, ftruncate, memfd_create, MemfdFlags, SealFlags};
use std::fs::File;
use std::io;
use vm_memory::{FileOffset, MmapRegion};

/// Makes a file of `size` bytes in memory, all 0, for the server to map.
pub(crate) fn file(size: usize) -> Result<File, Error> {
    let make = || -> io::Result<File> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = File::from(memfd_create("host-driver", flags)?);
        ftruncate(&file, size as u64)?;
        // The server maps no file that may shrink.
        fcntl_add_seals(&file, SealFlags::SHRINK)?;
        Ok(file)
    };
    make().map_err(Error::Memory)
}

/// Maps the first `size` bytes of a file.
pub(crate) fn map(file: &File, size: usize) -> Result<MmapRegion, Error> {
    let file = file.try_clone().map_err(Error::Memory)?;
    MmapRegion::from_file(FileOffset::new(file, 0), size)
        .map_err(|error| Error::Memory(io::Error::other(error)))
}
