// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Calls on mappings that a well-behaved program does not make.

#![expect(unsafe_code, reason = "maps, moves, splits and protects memory")]

use rustix::io::Errno;
use rustix::mm::{mmap, mprotect, mremap, munmap, MapFlags, MprotectFlags, MremapFlags, ProtFlags};
use std::fs::File;
use std::ptr;

/// The right to read and to write.
pub const READ_WRITE: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

/// A mapping. When dropped, its remaining pages are unmapped.
#[derive(Debug)]
pub struct RawMapping {
    start: *mut u8,
    length: usize,
}

impl RawMapping {
    /// Maps a range of a file.
    pub fn new(
        file: &File,
        offset: u64,
        length: usize,
        protection: ProtFlags,
        flags: MapFlags,
    ) -> Result<Self, Errno> {
        // SAFETY: The kernel chooses a free address.
        let start = unsafe { mmap(ptr::null_mut(), length, protection, flags, file, offset) }?;
        Ok(Self {
            start: start.cast(),
            length,
        })
    }

    /// Returns the address of the first byte.
    pub fn address(&self) -> usize {
        self.start.addr()
    }

    /// Loads the word at `offset`.
    pub fn read(&self, offset: usize) -> u32 {
        assert!(offset + 4 <= self.length);
        // SAFETY: The word is inside the mapping, and any bits are a valid one. If there is no page,
        // the process gets a signal, which some cases expect.
        unsafe {
            self.start
                .wrapping_add(offset)
                .cast::<u32>()
                .read_volatile()
        }
    }

    /// Stores a word at `offset`.
    pub fn write(&self, offset: usize, value: u32) {
        assert!(offset + 4 <= self.length);
        // SAFETY: The word is inside the mapping, and no Rust value lies there. If there is no page,
        // the process gets a signal, which some cases expect.
        unsafe {
            self.start
                .wrapping_add(offset)
                .cast::<u32>()
                .write_volatile(value)
        };
    }

    /// Changes the protection.
    pub fn protect(&self, flags: MprotectFlags) -> Result<(), Errno> {
        // SAFETY: Nothing borrows from the mapping.
        unsafe { mprotect(self.start.cast(), self.length, flags) }
    }

    /// Changes the length. The mapping may move.
    pub fn resize(&mut self, length: usize) -> Result<(), Errno> {
        // SAFETY: Nothing borrows from the mapping.
        let moved = unsafe { mremap(self.start.cast(), self.length, length, MremapFlags::MAYMOVE) };
        self.start = moved?.cast();
        self.length = length;
        Ok(())
    }

    /// Moves the mapping to another address.
    pub fn move_away(&mut self) -> Result<(), Errno> {
        let elsewhere = Self::reserve(self.length);
        let flags = MremapFlags::MAYMOVE;
        // SAFETY: The address was free and is ours; nothing borrows from either mapping.
        let moved = unsafe {
            rustix::mm::mremap_fixed(
                self.start.cast(),
                self.length,
                self.length,
                flags,
                elsewhere.cast(),
            )
        };
        self.start = moved?.cast();
        Ok(())
    }

    /// Unmaps pages in the middle, which leaves two mappings.
    pub fn punch(&self, offset: usize, length: usize) {
        assert!(offset + length <= self.length);
        // SAFETY: The pages are ours; nothing borrows from the mapping.
        unsafe { munmap(self.start.wrapping_add(offset).cast(), length) }
            .expect("pages can be unmapped");
    }

    /// Reserves `length` bytes of free addresses in this process, and returns the first.
    fn reserve(length: usize) -> *mut u8 {
        // SAFETY: The kernel chooses a free address.
        let start = unsafe {
            rustix::mm::mmap_anonymous(
                ptr::null_mut(),
                length,
                ProtFlags::empty(),
                MapFlags::PRIVATE,
            )
        };
        start.expect("addresses are not short").cast()
    }
}

impl Drop for RawMapping {
    fn drop(&mut self) {
        // SAFETY: What is left of it is ours, and nothing borrows from it.
        let _gone = unsafe { munmap(self.start.cast(), self.length) };
    }
}
