// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A list of mapped files.

use std::fs::File;
use std::io;

use nix::libc::{MAP_NORESERVE, MAP_SHARED, PROT_READ, PROT_WRITE};
use vm_memory::mmap::MmapRegionError;
use vm_memory::{FileOffset, MmapRegion, VolatileMemory, VolatileSlice};

use crate::error::Error;
use crate::status::FileId;

/// Mapped files. An entry is empty when no range refers to it any more.
#[derive(Debug, Default)]
pub(super) struct List(Vec<Option<MappedFile>>);

/// A file that is mapped into this process as a whole.
#[derive(Debug)]
struct MappedFile {
    id: FileId,
    mapping: MmapRegion,
    /// Whether it is mapped for writing too.
    writable: bool,
    /// Number of ranges that refer to it.
    ranges: usize,
}

/// Position of the bytes of a range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Index in the list of files.
    pub(super) file: usize,
    pub(super) offset: u64,
}

#[cfg(test)]
impl Place {
    /// The first byte of the first file, for tests of what keeps places.
    pub(crate) const FIRST: Self = Self { file: 0, offset: 0 };
}

impl List {
    /// Finds or makes the mapping of `file` for one more range. Returns its index.
    pub(super) fn share(
        &mut self,
        file: File,
        id: FileId,
        size: usize,
        writable: bool,
    ) -> Result<usize, Error> {
        let index = match self.find(id, size, writable) {
            Some(known) => known,
            None => self.add(MappedFile {
                id,
                mapping: map(file, size, writable)?,
                writable,
                ranges: 0,
            }),
        };
        if let Some(Some(known)) = self.0.get_mut(index) {
            known.ranges = known.ranges.saturating_add(1);
        }
        Ok(index)
    }

    /// Drops one reference to a mapped file, and the mapping with the last.
    pub(super) fn let_go(&mut self, place: Place) {
        if let Some(entry) = self.0.get_mut(place.file) {
            entry.take_if(|file| {
                file.ranges = file.ranges.saturating_sub(1);
                file.ranges == 0
            });
        }
    }

    /// Returns `length` bytes of a range, from `skip` bytes behind its start.
    #[inline]
    pub(super) fn slice(&self, place: Place, skip: u64, length: u64) -> Option<VolatileSlice<'_>> {
        let offset = place.offset.wrapping_add(skip);
        let file = self.0.get(place.file)?.as_ref()?;
        // Bounds are enforced by the mapping, not by the fields of the range.
        file.mapping
            .get_slice(usize::try_from(offset).ok()?, usize::try_from(length).ok()?)
            .ok()
    }

    /// Returns the number of mapped files.
    pub(super) fn len(&self) -> usize {
        self.0.iter().flatten().count()
    }

    /// Returns the index of the file, if it is mapped with `size` bytes at least, and for writing if
    /// that is asked for. A file that grew is mapped a second time. Ranges that were made before keep
    /// the old mapping.
    fn find(&self, id: FileId, size: usize, writable: bool) -> Option<usize> {
        self.0.iter().position(|known| {
            known.as_ref().is_some_and(|known| {
                known.id == id && known.mapping.size() >= size && known.writable >= writable
            })
        })
    }

    /// Adds a file in the first empty entry. Returns its index.
    fn add(&mut self, file: MappedFile) -> usize {
        let empty = self.0.iter().position(Option::is_none);
        let index = empty.unwrap_or(self.0.len());
        match self.0.get_mut(index) {
            Some(place) => *place = Some(file),
            None => self.0.push(Some(file)),
        }
        index
    }
}

/// Maps a file as a whole.
fn map(file: File, size: usize, writable: bool) -> Result<MmapRegion, Error> {
    let rights = if writable {
        PROT_READ | PROT_WRITE
    } else {
        PROT_READ
    };
    let file = Some(FileOffset::new(file, 0));
    MmapRegion::build(file, size, rights, MAP_NORESERVE | MAP_SHARED).map_err(|error| {
        // The system's error behind that of a mapping.
        Error::DmaMap(match error {
            MmapRegionError::Mmap(error) => error,
            other => io::Error::other(other),
        })
    })
}
