// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The client's memory files, each mapped into this process once and whole.
//!
//! A touch of a byte that the file has lost kills the process. So a file is mapped only if no other
//! process can take bytes from it any more; see [`keeps_its_bytes`].

use std::fs::File;
use std::io;

use log::Level;
use ringbar_vfio_user::device::DmaRange;
use rustix::fs::{fcntl_get_seals, fstatfs, FsWord, SealFlags};
use vm_memory::mmap::MmapRegionError;
use vm_memory::{FileOffset, MmapRegion, VolatileMemory, VolatileSlice};

use crate::client_log;
use crate::error::Error;
use crate::status::{FileId, Status};

/// The mapped files.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// An entry is empty when no range refers to it any more.
    mapped: Vec<Option<MappedFile>>,
    /// Whether the log names a file that may lose bytes.
    warned: bool,
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
pub(crate) struct Backing {
    /// Index in the list of files.
    file: usize,
    offset: u64,
}

impl Files {
    /// Finds or makes the mapping of `file` for one more range, and checks that it holds the bytes.
    /// Returns `None` if the file may lose them.
    pub(crate) fn back(
        &mut self,
        file: File,
        offset: u64,
        range: DmaRange,
    ) -> Result<Option<Backing>, Error> {
        // The seal before the size: a file that is not sealed could shrink between the two, and the
        // size would be too large.
        let keeps = keeps_its_bytes(&file).map_err(Error::DmaMap)?;
        let status = Status::of(&file).map_err(|error| Error::DmaMap(error.into()))?;
        let file_size = status.size;
        let end = range.size().and_then(|size| offset.checked_add(size));
        if end.is_none_or(|end| end > file_size) {
            return Err(Error::DmaFile {
                range,
                offset,
                file_size,
            });
        }
        // The mapping is accepted all the same, and the memory is not reached.
        if !keeps {
            self.warn_once();
            return Ok(None);
        }
        let size =
            usize::try_from(file_size).map_err(|error| Error::DmaMap(io::Error::other(error)))?;
        let file = match self.find(status.id, size) {
            Some(known) => known,
            None => self.add(MappedFile {
                id: status.id,
                mapping: MmapRegion::from_file(FileOffset::new(file, 0), size)
                    .map_err(map_error)?,
                ranges: 0,
            }),
        };
        if let Some(Some(known)) = self.mapped.get_mut(file) {
            known.ranges = known.ranges.saturating_add(1);
        }
        Ok(Some(Backing { file, offset }))
    }

    /// Drops one reference to a mapped file, and the mapping with the last.
    pub(crate) fn let_go(&mut self, backing: Backing) {
        if let Some(place) = self.mapped.get_mut(backing.file) {
            place.take_if(|file| {
                file.ranges = file.ranges.saturating_sub(1);
                file.ranges == 0
            });
        }
    }

    /// Returns `length` bytes of a range, from `skip` bytes behind its start.
    #[inline]
    pub(crate) fn slice(
        &self,
        backing: Backing,
        skip: u64,
        length: u64,
    ) -> Option<VolatileSlice<'_>> {
        let offset = backing.offset.wrapping_add(skip);
        let file = self.mapped.get(backing.file)?.as_ref()?;
        // Bounds are enforced by the mapping, not by the fields of the range.
        file.mapping
            .get_slice(usize::try_from(offset).ok()?, usize::try_from(length).ok()?)
            .ok()
    }

    /// Returns the number of mapped files.
    pub(crate) fn len(&self) -> usize {
        self.mapped.iter().flatten().count()
    }

    /// Returns the index of the file, if it is mapped with `size` bytes at least. A file that grew
    /// is mapped a second time. Ranges that were made before keep the old mapping.
    fn find(&self, id: FileId, size: usize) -> Option<usize> {
        self.mapped.iter().position(|known| {
            known
                .as_ref()
                .is_some_and(|known| known.id == id && known.mapping.size() >= size)
        })
    }

    /// Adds a file in the first empty entry. Returns its index.
    fn add(&mut self, file: MappedFile) -> usize {
        let empty = self.mapped.iter().position(Option::is_none);
        let index = empty.unwrap_or(self.mapped.len());
        match self.mapped.get_mut(index) {
            Some(place) => *place = Some(file),
            None => self.mapped.push(Some(file)),
        }
        index
    }

    /// Warns of a file that may lose bytes. One warning is enough: a client may map as often as it
    /// wants.
    fn warn_once(&mut self) {
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

/// Returns the system's error behind that of a mapping.
fn map_error(error: MmapRegionError) -> Error {
    Error::DmaMap(match error {
        MmapRegionError::Mmap(error) => error,
        other => io::Error::other(other),
    })
}
