// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Mapped memory, and the accesses to it.

#![expect(
    unsafe_code,
    reason = "maps memory and accesses it through raw pointers"
)]

use crate::Error;
use rustix::mm::{mmap, mmap_anonymous, munmap, MapFlags, ProtFlags};
use std::ffi::c_void;
use std::fs::File;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// Returns the size of a page of the kernel in bytes. It differs from machine to machine.
///
/// A page of a queue, and the public registers, are mapped as one such page.
#[inline]
pub fn page_size() -> usize {
    rustix::param::page_size()
}

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

/// A mapped region of the device or of the process's memory. Dropping it unmaps it.
///
/// # Panics
///
/// Accesses panic if they leave the mapping or are not aligned to their width. Writes panic if the
/// mapping is read-only. Each of these is a mistake of the program.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    length: usize,
    writable: bool,
    // Keeps the file open: the driver releases the objects of a file when its last handle closes.
    _file: Option<Arc<File>>,
}

// SAFETY: The mapping is no thread's own: any thread may unmap it. All accesses are volatile, on
// raw pointers.
unsafe impl Send for Mapping {}
// SAFETY: Shared access is by volatile loads and stores of whole words, and no reference to the
// memory exists. A racing access yields a value of another writer, which every reader expects.
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
        Self::of(start, length, writable, Some(file))
    }

    /// Maps `length` bytes of zeroed memory of the process, for
    /// [`Device::open_user_window`](crate::Device::open_user_window).
    pub fn anonymous(length: usize) -> Result<Self, Error> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: The kernel chooses a free address, so no mapping of ours is touched.
        let start =
            unsafe { mmap_anonymous(ptr::null_mut(), length, protection, MapFlags::PRIVATE) };
        Self::of(start, length, true, None)
    }

    /// Wraps the address that the kernel has just mapped.
    fn of(
        start: rustix::io::Result<*mut c_void>,
        length: usize,
        writable: bool,
        file: Option<Arc<File>>,
    ) -> Result<Self, Error> {
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

    /// Returns the length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Returns whether writes are allowed.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Returns the address of the first byte, for calls that take one.
    #[inline]
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Loads the word at `offset`, in one access.
    #[inline]
    pub fn read<W: Word>(&self, offset: usize) -> W {
        let place = self.place::<W, W>(offset);
        // SAFETY: `place` is inside the mapping and aligned; any bits are a valid word.
        unsafe { place.read_volatile() }
    }

    /// Stores a word at `offset`, in one access.
    #[inline]
    pub fn write<W: Word>(&self, offset: usize, value: W) {
        assert!(self.writable, "the mapping is read-only");
        let place = self.place::<W, W>(offset);
        // SAFETY: `place` is inside the mapping, which is writable, and aligned.
        unsafe { place.write_volatile(value) };
    }

    /// Loads the words from `offset` on, one access each.
    #[inline]
    pub fn read_words<W: Word, const N: usize>(&self, offset: usize) -> [W; N] {
        let place = self.place::<[W; N], W>(offset).cast::<W>();
        // SAFETY: `place` checked that all words are inside the mapping, and aligned. Any bits are
        // a valid word.
        std::array::from_fn(|index| unsafe { place.wrapping_add(index).read_volatile() })
    }

    /// Stores words from `offset` on, one access each.
    #[inline]
    pub fn write_words<W: Word, const N: usize>(&self, offset: usize, words: [W; N]) {
        assert!(self.writable, "the mapping is read-only");
        let place = self.place::<[W; N], W>(offset).cast::<W>();
        for (index, word) in words.into_iter().enumerate() {
            // SAFETY: `place` checked that all words are inside the mapping, and aligned. The
            // mapping is writable.
            unsafe { place.wrapping_add(index).write_volatile(word) };
        }
    }

    /// Copies bytes out, starting at `offset`.
    pub fn read_bytes(&self, offset: usize, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.read_into(offset, &mut bytes);
        bytes
    }

    /// Copies bytes out, starting at `offset`, eight at a time where they are aligned.
    pub fn read_into(&self, mut offset: usize, bytes: &mut [u8]) {
        let (head, rest) = bytes.split_at_mut(unaligned(offset, bytes.len()));
        for byte in head {
            *byte = self.read(offset);
            offset += 1;
        }
        let (words, tail) = rest.as_chunks_mut();
        for word in words {
            *word = self.read::<u64>(offset).to_ne_bytes();
            offset += 8;
        }
        for byte in tail {
            *byte = self.read(offset);
            offset += 1;
        }
    }

    /// Copies bytes in, starting at `offset`, eight at a time where they are aligned.
    pub fn write_bytes(&self, mut offset: usize, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(unaligned(offset, bytes.len()));
        for byte in head {
            self.write(offset, *byte);
            offset += 1;
        }
        let (words, tail) = rest.as_chunks();
        for word in words {
            self.write(offset, u64::from_ne_bytes(*word));
            offset += 8;
        }
        for byte in tail {
            self.write(offset, *byte);
            offset += 1;
        }
    }

    /// Returns the address of a `T` at `offset`. Panics if the `T` leaves the mapping, or if
    /// `offset` is not aligned for a `W`.
    #[inline]
    fn place<T, W: Word>(&self, offset: usize) -> *mut T {
        let width = size_of::<T>();
        let inside = offset
            .checked_add(width)
            .is_some_and(|end| end <= self.length);
        if !inside {
            leaves(offset, width, self.length);
        }
        if !offset.is_multiple_of(size_of::<W>()) {
            not_aligned(offset, width);
        }
        // SAFETY: The offset is inside the mapping.
        unsafe { self.start.as_ptr().add(offset) }.cast()
    }
}

// The panics are functions of their own. Inlined, their formatting would slow down each correct
// access.
#[cold]
#[inline(never)]
fn leaves(offset: usize, width: usize, length: usize) -> ! {
    panic!("{width} bytes at {offset:#x} leave the mapping of {length:#x}")
}

#[cold]
#[inline(never)]
fn not_aligned(offset: usize, width: usize) -> ! {
    panic!("{width} bytes at {offset:#x} are not aligned")
}

/// Returns how many of `length` bytes at `offset` lie before the first aligned word.
fn unaligned(offset: usize, length: usize) -> usize {
    (offset.wrapping_neg() % size_of::<u64>()).min(length)
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: The address and the length are those that the kernel mapped. No reference to the
        // memory exists.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}
