// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory of the device in the process, and the accesses to it.

#![expect(
    unsafe_code,
    reason = "maps memory and accesses it through raw pointers"
)]

use crate::Error;
use rustix::mm::{mmap, munmap, MapFlags, ProtFlags};
use std::fs::File;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// An integer that one load or store moves.
pub trait Word: sealed::Word {}

impl Word for u8 {}
impl Word for u16 {}
impl Word for u32 {}
impl Word for u64 {}

mod sealed {
    pub trait Word: Copy {}
    impl Word for u8 {}
    impl Word for u16 {}
    impl Word for u32 {}
    impl Word for u64 {}
}

/// A region of the device, mapped. Unmapped when dropped.
///
/// # Panics
///
/// Accesses panic if they leave the mapping or are not aligned to their width, and writes if the
/// mapping is read-only: that is a mistake of the program.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    length: usize,
    writable: bool,
    // What is mapped lives as long as the file does.
    _file: Arc<File>,
}

// SAFETY: The memory belongs to no thread, and all accesses are of the kind that may race.
unsafe impl Send for Mapping {}
// SAFETY: As above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `length` bytes of `file` at `offset`, shared.
    pub fn new(file: Arc<File>, offset: u64, length: usize, writable: bool) -> Result<Self, Error> {
        let mut protection = ProtFlags::READ;
        protection.set(ProtFlags::WRITE, writable);
        // SAFETY: The kernel chooses a free address, so no mapping of ours is touched.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                length,
                protection,
                MapFlags::SHARED,
                &*file,
                offset,
            )
        };
        let start = start.map_err(|errno| Error::Refused {
            call: "mmap",
            errno,
        })?;
        let start = NonNull::new(start.cast()).expect("the kernel maps nothing at address 0");
        Ok(Self {
            start,
            length,
            writable,
            _file: file,
        })
    }

    /// Length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Address of the first byte, for calls that take one.
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Loads the word at `offset`, in one access.
    pub fn read<W: Word>(&self, offset: usize) -> W {
        let place = self.place::<W>(offset);
        // SAFETY: `place` is inside the mapping and aligned; any bits are a valid word.
        unsafe { place.read_volatile() }
    }

    /// Stores a word at `offset`, in one access.
    pub fn write<W: Word>(&self, offset: usize, value: W) {
        assert!(self.writable, "the mapping is read-only");
        let place = self.place::<W>(offset);
        // SAFETY: `place` is inside the mapping, which is writable, and aligned.
        unsafe { place.write_volatile(value) };
    }

    /// Copies bytes out, from `offset` on.
    pub fn read_bytes(&self, offset: usize, length: usize) -> Vec<u8> {
        (offset..offset + length)
            .map(|offset| self.read(offset))
            .collect()
    }

    /// Copies bytes in, from `offset` on.
    pub fn write_bytes(&self, offset: usize, bytes: &[u8]) {
        for (place, byte) in (offset..).zip(bytes) {
            self.write(place, *byte);
        }
    }

    fn place<W: Word>(&self, offset: usize) -> *mut W {
        let width = size_of::<W>();
        let inside = offset
            .checked_add(width)
            .is_some_and(|end| end <= self.length);
        assert!(
            inside,
            "{width} bytes at {offset:#x} leave the mapping of {:#x}",
            self.length
        );
        assert!(
            offset.is_multiple_of(width),
            "{width} bytes at {offset:#x} are not aligned"
        );
        // SAFETY: The offset is inside the mapping.
        unsafe { self.start.as_ptr().add(offset) }.cast()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `new` mapped just this, and nobody has borrowed from it.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}
