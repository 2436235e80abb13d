// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory that server and guest share: pages of registers, device memory.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use rustix::fs::{
    fallocate, fcntl_add_seals, fcntl_get_seals, ftruncate, memfd_create, FallocateFlags,
    MemfdFlags, SealFlags,
};
use vm_memory::{FileOffset, MmapRegion, VolatileMemory};

/// Memory that another process may change at any time; of the crate `vm-memory`.
pub use vm_memory::VolatileSlice;

use crate::error::Error;
use crate::region_files::Unfit;
use crate::status::Status;

/// A file in memory that is mapped here and that the client may map too.
///
/// Its size is sealed. A touch of a mapping whose file has shrunk kills the process.
///
/// ```
/// use ringbar_endpoint::memory::SharedMemory;
///
/// # fn main() -> Result<(), ringbar_endpoint::Error> {
/// let memory = SharedMemory::new("status", 4096)?;
/// memory.store(8, 7);
/// assert_eq!(memory.load(8), Some(7));
/// assert_eq!(memory.load(4096), None);
/// # Ok(())
/// # }
/// ```
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

    /// Maps a file that an earlier device had, and makes its bytes 0. The name is for errors.
    ///
    /// # Errors
    ///
    /// Fails if the file does not have this size for ever, or if the system refuses.
    pub(crate) fn over(file: Arc<File>, name: &'static str, size: usize) -> Result<Self, Error> {
        let unfit = |fault| Error::RegionFile { name, size, fault };
        let sealed = SealFlags::SHRINK | SealFlags::GROW;
        // The seals before the size, which could change otherwise.
        if !fcntl_get_seals(&*file).is_ok_and(|seals| seals.contains(sealed)) {
            return Err(unfit(Unfit::Unsealed));
        }
        let map = || -> io::Result<Result<Self, u64>> {
            let length = Status::of(&*file)?.size;
            if usize::try_from(length) != Ok(size) {
                return Ok(Err(length));
            }
            // Not written byte by byte: pages that were never touched would be allocated.
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(&*file, hole, 0, length)?;
            let mapping = MmapRegion::from_file(FileOffset::from_arc(Arc::clone(&file), 0), size)
                .map_err(io::Error::other)?;
            Ok(Ok(Self {
                file: Arc::clone(&file),
                mapping,
            }))
        };
        map()
            .map_err(|source| Error::Memory { name, size, source })?
            .map_err(|length| unfit(Unfit::Size(length)))
    }

    /// Returns the file, for a later device.
    pub(crate) fn shared_file(&self) -> Arc<File> {
        Arc::clone(&self.file)
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
    fn file_of_an_earlier_device_is_mapped_again_with_all_bytes_0() {
        let old = SharedMemory::new("test", 4096).unwrap();
        old.store(8, 7).unwrap();

        let new = SharedMemory::over(old.shared_file(), "test", 4096).unwrap();

        assert_eq!((old.load(8), new.load(8)), (Some(0), Some(0)));
        new.store(8, 9).unwrap();
        assert_eq!(old.load(8), Some(9));
    }

    #[test]
    fn file_of_another_size_is_refused_with_both_sizes() {
        let old = SharedMemory::new("test", 4096).unwrap();

        let error = SharedMemory::over(old.shared_file(), "pages", 8192).unwrap_err();

        let text = error.to_string();
        assert!(text.contains("pages of 8192"), "{text}");
        assert!(text.contains("4096"), "{text}");
    }

    #[test]
    fn file_that_may_change_its_size_is_refused() {
        for seals in [SealFlags::SHRINK, SealFlags::GROW, SealFlags::empty()] {
            let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
            let file = File::from(memfd_create("test", flags).unwrap());
            file.set_len(4096).unwrap();
            fcntl_add_seals(&file, seals).unwrap();

            let result = SharedMemory::over(Arc::new(file), "test", 4096);

            let fault = Unfit::Unsealed;
            assert!(matches!(result, Err(Error::RegionFile { fault: f, .. }) if f == fault));
        }
    }

    #[test]
    fn slice_that_leaves_the_memory_is_refused() {
        let memory = SharedMemory::new("test", 4096).unwrap();

        assert!(memory.slice(4095, 1).is_some());
        assert!(memory.slice(4095, 2).is_none());
        assert!(memory.slice(u64::MAX, 1).is_none());
    }
}
