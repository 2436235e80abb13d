// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory that a well-behaved program does not have: in a strange order, protected, unmapped.

#![expect(unsafe_code, reason = "maps, protects and unmaps memory")]

use ringbar_client::{Device, Error, Rights, Window};
use ringbar_tests::page_size;
use rustix::fs::{ftruncate, memfd_create, MemfdFlags};
use rustix::mm::{mmap, mmap_anonymous, mprotect, munmap, MapFlags, MprotectFlags, ProtFlags};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::ptr;

const READ_WRITE: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

/// Memory of the process. When dropped, its remaining pages are unmapped.
pub(crate) struct RawMemory {
    start: *mut u8,
    length: usize,
}

impl RawMemory {
    /// Maps private memory.
    pub(crate) fn new(length: usize) -> Self {
        // SAFETY: The kernel chooses a free address.
        let start =
            unsafe { mmap_anonymous(ptr::null_mut(), length, READ_WRITE, MapFlags::PRIVATE) };
        Self {
            start: start.expect("there is memory").cast(),
            length,
        }
    }

    /// Maps pages of a file, in this order.
    pub(crate) fn pages(file: &File, pages: &[u64]) -> Self {
        let memory = Self::new(pages.len() * page_size());
        for (place, page) in pages.iter().enumerate() {
            let address = memory.start.wrapping_add(place * page_size());
            let (flags, offset) = (
                MapFlags::SHARED | MapFlags::FIXED,
                page * page_size() as u64,
            );
            // SAFETY: This page is ours, and no code borrows it.
            let mapped =
                unsafe { mmap(address.cast(), page_size(), READ_WRITE, flags, file, offset) };
            mapped.expect("a page can be mapped over");
        }
        memory
    }

    /// Address of the first byte.
    pub(crate) fn address(&self) -> u64 {
        self.start.expose_provenance() as u64
    }

    /// Length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length as u64
    }

    /// Opens a window on all of the memory.
    pub(crate) fn open(&self, device: &Device, rights: Rights) -> Result<Window, Error> {
        open_at(device, self.address(), self.length(), rights)
    }

    /// Loads all bytes.
    pub(crate) fn read(&self) -> Vec<u8> {
        let places = (0..self.length).map(|offset| self.start.wrapping_add(offset));
        // SAFETY: The byte is ours, and any bits are valid.
        places
            .map(|place| unsafe { place.read_volatile() })
            .collect()
    }

    /// Stores `byte` in all bytes.
    pub(crate) fn fill(&self, byte: u8) {
        for offset in 0..self.length {
            // SAFETY: The byte is ours, and no code borrows it.
            unsafe { self.start.wrapping_add(offset).write_volatile(byte) };
        }
    }

    /// Makes the memory read-only.
    pub(crate) fn protect(&self) {
        // SAFETY: The memory is ours, and no code borrows it.
        let done = unsafe { mprotect(self.start.cast(), self.length, MprotectFlags::READ) };
        done.expect("memory can be protected");
    }

    /// Replaces the memory by other memory at the same addresses.
    pub(crate) fn replace(&self) {
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        // SAFETY: The memory is ours, and no code borrows it.
        let done = unsafe { mmap_anonymous(self.start.cast(), self.length, READ_WRITE, flags) };
        done.expect("there is memory");
    }

    /// Unmaps all but the first `length` bytes.
    pub(crate) fn cut(&mut self, length: usize) {
        let rest = self.length.checked_sub(length).expect("it is longer");
        // SAFETY: The memory is ours, and no code borrows it.
        let done = unsafe { munmap(self.start.wrapping_add(length).cast(), rest) };
        done.expect("memory can be unmapped");
        self.length = length;
    }
}

impl Drop for RawMemory {
    fn drop(&mut self) {
        self.cut(0);
    }
}

/// Opens a window on any addresses of the process: memory that no code borrows, or addresses that
/// the call refuses.
pub(crate) fn open_at(
    device: &Device,
    address: u64,
    length: u64,
    rights: Rights,
) -> Result<Window, Error> {
    // SAFETY: The callers, in this program, give memory of theirs which they do not borrow.
    unsafe { device.open_user_window_at(address, length, rights) }
}

/// Makes a file in memory with these bytes.
pub(crate) fn file(bytes: &[u8]) -> File {
    let file = memfd_create("user_memory", MemfdFlags::CLOEXEC).expect("there is memory");
    ftruncate(&file, bytes.len() as u64).expect("there is memory");
    let file = File::from(file);
    file.write_all_at(bytes, 0).expect("a file can be written");
    file
}
