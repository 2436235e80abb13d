// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Pages of the driver and of the process side by side, so that one access can reach two of them.

#![expect(unsafe_code, reason = "maps pages at chosen addresses")]

use ringbar_tests::page_size;
use rustix::mm::{mmap, mmap_anonymous, munmap, MapFlags, ProtFlags};
use std::fs::File;
use std::ptr;

const READ_WRITE: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

/// A page to map.
#[derive(Clone, Copy)]
pub(crate) enum Page<'a> {
    /// Zeroed memory of the process.
    Own,
    /// The page of the driver at this mmap offset.
    Driver(&'a File, u64),
}

/// Pages that follow each other. Dropping them unmaps them.
pub(crate) struct Pages {
    start: *mut u8,
    length: usize,
}

impl Pages {
    /// Maps pages, the first at the lowest address.
    pub(crate) fn map(pages: &[Page<'_>]) -> Self {
        let length = pages.len() * page_size();
        // SAFETY: The kernel chooses a free address, so no mapping of ours is touched.
        let start =
            unsafe { mmap_anonymous(ptr::null_mut(), length, READ_WRITE, MapFlags::PRIVATE) };
        let start = start.expect("addresses are not short").cast::<u8>();
        for (number, page) in pages.iter().enumerate() {
            let Page::Driver(file, offset) = *page else {
                continue;
            };
            let place = start.wrapping_add(number * page_size()).cast();
            let flags = MapFlags::SHARED | MapFlags::FIXED;
            // SAFETY: The page lies in the mapping that was made above, and nothing refers to it.
            let mapped = unsafe { mmap(place, page_size(), READ_WRITE, flags, file, offset) };
            mapped.expect("the driver maps the page");
        }
        Self { start, length }
    }

    /// Returns the address of `length` bytes at `offset`. Panics if they leave the pages.
    pub(crate) fn address(&self, offset: usize, length: usize) -> *mut u8 {
        let inside = offset
            .checked_add(length)
            .is_some_and(|end| end <= self.length);
        assert!(inside, "{length} bytes at {offset:#x} leave the pages");
        self.start.wrapping_add(offset)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: The pages are this value's own, and no reference into them exists.
        let unmapped = unsafe { munmap(self.start.cast(), self.length) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}
