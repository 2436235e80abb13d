// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Calls on mappings that a well-behaved program does not make.

#![expect(unsafe_code, reason = "maps, moves, splits and protects memory")]

use rustix::io::Errno;
use rustix::mm::{
    madvise, mmap, mprotect, mremap, munmap, Advice, MapFlags, MprotectFlags, MremapFlags,
    ProtFlags,
};
use std::fs::File;
use std::{io, ptr};

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
        // SAFETY: The word is inside the mapping, and any bits are a valid one. If there is no
        // page, the process gets a signal, which some cases expect.
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
        // SAFETY: The word is inside the mapping, and no Rust value lies there. If there is no
        // page, the process gets a signal, which some cases expect.
        unsafe {
            self.start
                .wrapping_add(offset)
                .cast::<u32>()
                .write_volatile(value)
        };
    }

    /// Returns the `length` bytes from `offset` on. Loads each byte once, so the range needs no
    /// alignment, and a device may write meanwhile.
    ///
    /// # Panics
    ///
    /// If the range leaves the mapping.
    pub fn bytes(&self, offset: usize, length: usize) -> Vec<u8> {
        let end = offset.checked_add(length);
        assert!(
            end.is_some_and(|end| end <= self.length),
            "{length} bytes from {offset:#x} on leave the mapping of {:#x} bytes",
            self.length
        );
        let load = |place| {
            // SAFETY: The byte is inside the mapping, and any bits are a valid one. If there is no
            // page, the process gets a signal, which some cases expect.
            unsafe { self.start.wrapping_add(place).read_volatile() }
        };
        (offset..offset + length).map(load).collect()
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

    /// Gives the kernel advice about all of it.
    pub fn advise(&self, advice: Advice) -> Result<(), Errno> {
        // SAFETY: No Rust value lies in the mapping, so any advice may change its contents.
        unsafe { madvise(self.start.cast(), self.length, advice) }
    }

    /// Seals the mapping: the process cannot unmap, move or protect it any more.
    pub fn seal(&self) -> Result<(), Errno> {
        seal(self.start, self.length)
    }

    /// Unmaps all of it.
    pub fn unmap(&self) -> Result<(), Errno> {
        // SAFETY: The pages are ours; nothing borrows from the mapping.
        unsafe { munmap(self.start.cast(), self.length) }
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

/// Returns whether the kernel can seal mappings.
pub fn can_seal() -> bool {
    seal(ptr::null_mut(), 0).is_ok()
}

fn seal(start: *mut u8, length: usize) -> Result<(), Errno> {
    // SAFETY: The call changes no byte and no mapping. It only makes later changes fail.
    match unsafe { libc::syscall(libc::SYS_mseal, start, length, 0) } {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

impl Drop for RawMapping {
    fn drop(&mut self) {
        // SAFETY: What is left of it is ours, and nothing borrows from it.
        let _gone = unsafe { munmap(self.start.cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringbar_client::page_size;

    /// Maps this program's own file, whose bytes are known. Returns them too.
    fn program() -> (RawMapping, Vec<u8>) {
        let path = std::env::current_exe().expect("the program has a file");
        let file = File::open(&path).expect("it can be read");
        let mapping = RawMapping::new(&file, 0, page_size(), ProtFlags::READ, MapFlags::PRIVATE);
        let bytes = std::fs::read(&path).expect("it can be read");
        (mapping.expect("it can be mapped"), bytes)
    }

    #[test]
    fn bytes_are_those_of_the_range() {
        let (mapping, file) = program();

        assert_eq!(mapping.bytes(1, 30), file[1..31]);
        assert_eq!(mapping.bytes(page_size(), 0), [] as [u8; 0]);
    }

    #[test]
    fn word_has_its_lowest_byte_first() {
        let (mapping, _) = program();

        assert_eq!(mapping.bytes(0, 4), mapping.read(0).to_le_bytes());
    }

    #[test]
    #[should_panic(expected = "2 bytes from 0x")]
    fn bytes_outside_of_the_mapping_are_refused() {
        program().0.bytes(page_size() - 1, 2);
    }
}
