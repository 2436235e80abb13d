// SPDX-License-Identifier: GPL-2.0-only

//! Memory of a process that is pinned for long, and counted against the limit of memory that the
//! process may lock.
//!
//! The pages stay where they are whatever the process does with its addresses.

use crate::interface::setup::RIGHT_WRITE;
use kernel::{
    bindings,
    mm::Mm,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        }, //
    },
};

extern "C" {
    // `shim.c`: an inline function of the kernel.
    fn ringbar_memlock_limit() -> c_ulong;
}

/// Most pages that are pinned with one call of the kernel.
const BATCH: usize = 1024;

/// A range of addresses of a process, not empty.
#[derive(Clone, Copy)]
pub(super) struct UserRange {
    address: usize,
    length: usize,
}

impl UserRange {
    /// Returns the `length` bytes at `address`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for length 0 or over `limit`, or if they pass the end of all addresses.
    pub(super) fn new(address: u64, length: u64, limit: u64) -> Result<Self> {
        if length == 0 || length > limit {
            return Err(EINVAL);
        }
        // With room to round up to whole pages, so that no later sum overflows.
        let end = address.checked_add(length).ok_or(EINVAL)?;
        end.checked_add(PAGE_SIZE as u64).ok_or(EINVAL)?;
        Ok(Self {
            address: address.try_into()?,
            length: length.try_into()?,
        })
    }

    /// Returns the number of pages that it touches.
    pub(super) fn pages(&self) -> usize {
        (self.offset() + self.length).div_ceil(PAGE_SIZE)
    }

    /// Returns its length in bytes.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Returns the offset of its first byte in the first page.
    pub(super) fn offset(&self) -> usize {
        self.address
            % if cfg!(sabotage = "page-of-4096") {
                4096
            } else {
                PAGE_SIZE
            }
    }
}

/// Pages that count against `RLIMIT_MEMLOCK` of a process, until dropped.
struct Locked {
    mm: ARef<Mm>,
    pages: i64,
}

impl Locked {
    /// Counts `pages` for the calling process.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if it may not lock so many; `EFAULT` if it has no memory.
    fn new(pages: usize) -> Result<Self> {
        let task = current!();
        let mm: &Mm = task.mm().ok_or(EFAULT)?;
        let locked = Self {
            mm: mm.into(),
            pages: pages.try_into()?,
        };
        let all = locked.counter().fetch_add(locked.pages, Relaxed) + locked.pages;
        // SAFETY: The shim reads a limit of the calling process, which is there.
        let limit = unsafe { ringbar_memlock_limit() } >> PAGE_SHIFT;
        // SAFETY: `capable` can be called in any process context.
        let unlimited = || unsafe { bindings::capable(bindings::CAP_IPC_LOCK as c_int) };
        if all as u64 > limit as u64 && !unlimited() {
            return Err(ENOMEM);
        }
        Ok(locked)
    }

    /// Returns the kernel's counter of pinned pages of the process.
    fn counter(&self) -> &Atomic<i64> {
        let mm = self.mm.as_raw();
        // SAFETY: `mm` lives as long as the reference to it, and the counter is only accessed
        // atomically.
        unsafe { Atomic::from_ptr(&raw mut (*mm).__bindgen_anon_1.pinned_vm.counter) }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.counter().fetch_sub(self.pages, Relaxed);
    }
}

/// Pages of a process that stay where they are, until dropped.
///
/// # Invariants
///
/// `pages` are pinned, once each, and only this unpins them.
pub(super) struct Pinned {
    range: UserRange,
    pages: KVVec<*mut bindings::page>,
    writable: bool,
    _locked: Locked,
}

// SAFETY: A pinned page belongs to no thread: any may unpin it.
unsafe impl Send for Pinned {}
// SAFETY: A shared reference gives no access to the pages.
unsafe impl Sync for Pinned {}

impl Pinned {
    /// Pins `range` of the calling process, to be written by the device if `rights` say so.
    ///
    /// This may wait for another process that serves page faults of this one, so call it outside of
    /// the gate.
    ///
    /// # Errors
    ///
    /// `EFAULT` if there is no memory, or none that may be pinned for long with this access: memory
    /// that a driver has mapped, and for writing the pages of a file on a disk; `ENOMEM`, also over
    /// `RLIMIT_MEMLOCK`.
    pub(super) fn new(range: UserRange, rights: u32) -> Result<Self> {
        let writable = rights & RIGHT_WRITE != 0;
        let mut flags = bindings::FOLL_LONGTERM;
        if writable {
            flags |= bindings::FOLL_WRITE;
        }
        let count = range.pages();
        let locked = Locked::new(count)?;
        // INVARIANT: No page is pinned yet, and none is listed.
        let mut pinned = Self {
            range,
            pages: KVVec::with_capacity(count, GFP_KERNEL)?,
            writable,
            _locked: locked,
        };
        let start = range.address - range.offset();
        while let Some(left @ 1..) = count.checked_sub(pinned.pages.len()) {
            let address = start + pinned.pages.len() * PAGE_SIZE;
            let room = pinned.pages.spare_capacity_mut();
            let wanted = left.min(BATCH).min(room.len());
            // Not the fast variant, which does not check whether a driver has mapped the pages.
            // SAFETY: The array has room for `wanted` pages.
            let got = unsafe {
                bindings::pin_user_pages_unlocked(
                    address,
                    wanted as c_ulong,
                    room.as_mut_ptr().cast(),
                    flags,
                )
            };
            match usize::try_from(got) {
                Ok(0) => return Err(EFAULT),
                // INVARIANT: Pinned just now.
                // SAFETY: The kernel has written `got` pages, at most `wanted`, for which there is
                // room.
                Ok(got) => unsafe { pinned.pages.inc_len(got) },
                Err(_) => return Err(Error::from_errno(got as c_int)),
            }
        }
        Ok(pinned)
    }

    /// Returns the range that the pages hold.
    pub(super) fn range(&self) -> UserRange {
        self.range
    }

    /// Returns the pages as an array. The kernel reads it only.
    pub(super) fn as_mut_ptr(&mut self) -> *mut *mut bindings::page {
        self.pages.as_mut_ptr()
    }

    /// Returns the number of pages.
    pub(super) fn count(&self) -> usize {
        self.pages.len()
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let (pages, count) = (self.pages.as_mut_ptr(), self.pages.len());
        // SAFETY: By the type invariants the pages are pinned once each, and only this unpins them.
        // DMA has finished, so the device cannot write them any more.
        unsafe { bindings::unpin_user_pages_dirty_lock(pages, count, self.writable) };
    }
}
