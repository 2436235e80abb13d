// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory that server and guest share: the doorbell and status pages, the device memory.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use rustix::fs::{fcntl_add_seals, ftruncate, memfd_create, MemfdFlags, SealFlags};
use vm_memory::{FileOffset, MmapRegion, VolatileMemory, VolatileSlice};

use crate::error::Error;

/// A file in memory that is mapped here and that the client may map too.
///
/// Its size is sealed. A touch of a mapping whose file has shrunk kills the process.
#[derive(Debug)]
pub struct SharedMemory {
    file: Arc<File>,
    mapping: MmapRegion,
}

impl SharedMemory {
    /// Makes `size` bytes, all 0. The name shows up in `/proc`.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses the memory.
    pub fn new(name: &'static str, size: usize) -> Result<Self, Error> {
        let make = || -> io::Result<Self> {
            let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
            let file = File::from(memfd_create(name, flags)?);
            ftruncate(&file, u64::try_from(size).map_err(io::Error::other)?)?;
            // After the size was set, and before the client gets the file: it could shrink the file
            // otherwise.
            fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
            // One descriptor for both: a server has few.
            let file = Arc::new(file);
            let mapping = MmapRegion::from_file(FileOffset::from_arc(Arc::clone(&file), 0), size)
                .map_err(io::Error::other)?;
            Ok(Self { file, mapping })
        };
        make().map_err(|source| Error::Memory { name, size, source })
    }

    /// Returns the file, for the client to map.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> usize {
        self.mapping.size()
    }

    /// Returns the bytes from `offset` on; `None` if they leave the memory.
    #[inline]
    pub fn slice(&self, offset: u64, length: usize) -> Option<VolatileSlice<'_>> {
        self.mapping
            .get_slice(usize::try_from(offset).ok()?, length)
            .ok()
    }

    /// Loads the word at `offset`. Later reads see all that was written before the word (acquire).
    ///
    /// Returns `None` if the word is outside or not aligned.
    #[inline]
    pub fn load(&self, offset: usize) -> Option<u32> {
        Some(self.word(offset)?.load(Ordering::Acquire))
    }

    /// Stores the word at `offset`. A reader that sees it sees all that was written before it
    /// (release).
    ///
    /// Returns `None` if the word is outside or not aligned.
    #[inline]
    pub fn store(&self, offset: usize, value: u32) -> Option<()> {
        self.word(offset)?.store(value, Ordering::Release);
        Some(())
    }

    /// Returns the word at `offset`. It is atomic, as the other side may access it at any time.
    #[inline]
    fn word(&self, offset: usize) -> Option<&AtomicU32> {
        self.mapping.get_atomic_ref::<AtomicU32>(offset).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::fcntl_get_seals;
    use std::os::unix::fs::FileExt;

    #[test]
    fn new_memory_is_zero_and_sealed() {
        let memory = SharedMemory::new("test", 4096).unwrap();
        let mut bytes = [1; 4096];

        memory.file().read_exact_at(&mut bytes, 0).unwrap();

        assert_eq!(bytes, [0; 4096]);
        assert!(fcntl_get_seals(memory.file())
            .unwrap()
            .contains(SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL));
    }

    #[test]
    fn stored_word_is_in_the_file_little_endian() {
        let memory = SharedMemory::new("test", 4096).unwrap();
        let mut bytes = [0; 4];

        memory.store(8, 0x0403_0201).unwrap();
        memory.file().read_exact_at(&mut bytes, 8).unwrap();

        assert_eq!(bytes, [1, 2, 3, 4]);
        assert_eq!(memory.load(8), Some(0x0403_0201));
    }

    #[test]
    fn word_outside_or_unaligned_is_refused() {
        let memory = SharedMemory::new("test", 4096).unwrap();

        assert_eq!(memory.load(4096), None);
        assert_eq!(memory.load(2), None);
        assert_eq!(memory.store(usize::MAX, 1), None);
    }

    #[test]
    fn slice_that_leaves_the_memory_is_refused() {
        let memory = SharedMemory::new("test", 4096).unwrap();

        assert!(memory.slice(4095, 1).is_some());
        assert!(memory.slice(4095, 2).is_none());
        assert!(memory.slice(u64::MAX, 1).is_none());
    }
}
