// SPDX-License-Identifier: GPL-2.0-only

//! Memory of a process that the device reaches: pinned for long, counted against the limit of
//! memory that the process may lock, and mapped for DMA without a copy in between.
//!
//! The pages stay where they are whatever the process does with its addresses, and are given back
//! when [`UserMemory`] is dropped: after the device has said that it no longer uses them.

use crate::{
    device::kept::Kept,
    interface::setup::{
        Segment,
        RIGHT_READ,
        RIGHT_WRITE, //
    },
};
use kernel::{
    bindings,
    device::{
        self,
        Bound, //
    },
    dma::DataDirection,
    error::to_result,
    mm::Mm,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    scatterlist::SGTable,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        }, //
    },
    types::Opaque,
};

extern "C" {
    // `shim.c`: an inline function of the kernel.
    fn ringbar_memlock_limit() -> c_ulong;
}

/// Most pages that are pinned with one call of the kernel.
const BATCH: usize = 1024;

/// A range of addresses of a process, not empty.
#[derive(Clone, Copy)]
pub(crate) struct UserRange {
    address: usize,
    length: usize,
}

impl UserRange {
    /// The `length` bytes at `address`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for length 0 or over `limit`, or if they pass the end of all addresses.
    pub(crate) fn new(address: u64, length: u64, limit: u64) -> Result<Self> {
        if length == 0 || length > limit {
            return Err(EINVAL);
        }
        // With room to round up.
        let end = address.checked_add(length).ok_or(EINVAL)?;
        end.checked_add(PAGE_SIZE as u64).ok_or(EINVAL)?;
        Ok(Self {
            address: address.try_into()?,
            length: length.try_into()?,
        })
    }

    /// Number of pages that it touches.
    pub(crate) fn pages(&self) -> usize {
        (self.offset() + self.length).div_ceil(PAGE_SIZE)
    }

    /// Offset of its first byte in the first page.
    fn offset(&self) -> usize {
        self.address % PAGE_SIZE
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
        // SAFETY: Reads a limit of the calling process.
        let limit = unsafe { ringbar_memlock_limit() } >> PAGE_SHIFT;
        // SAFETY: `capable` can be called in any process context.
        let unlimited = || unsafe { bindings::capable(bindings::CAP_IPC_LOCK as c_int) };
        if all as u64 > limit as u64 && !unlimited() {
            return Err(ENOMEM);
        }
        Ok(locked)
    }

    /// How many pages of the process are pinned.
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

/// Pages of a process that stay where they are, until dropped, unless they are kept for good.
///
/// # Invariants
///
/// `pages` are pinned, once each, and nobody else unpins them.
pub(crate) struct Pinned {
    range: UserRange,
    pages: KVVec<*mut bindings::page>,
    writable: bool,
    /// For good.
    kept: bool,
    _locked: Locked,
}

// SAFETY: A pinned page belongs to no thread.
unsafe impl Send for Pinned {}
// SAFETY: Nothing gives access to the pages.
unsafe impl Sync for Pinned {}

impl Pinned {
    /// Pins `range` of the calling process, to be written by the device if `rights` say so.
    ///
    /// This may wait for whoever serves the process's page faults, so call it outside of the gate.
    ///
    /// # Errors
    ///
    /// `EFAULT` if no memory is there, or none that may be pinned for long, accessed so: what a
    /// driver has mapped, and for writing the pages of a file on a disk; `ENOMEM`, also over
    /// `RLIMIT_MEMLOCK`.
    pub(crate) fn new(range: UserRange, rights: u32) -> Result<Self> {
        let writable = rights & RIGHT_WRITE != 0;
        let mut flags = bindings::FOLL_LONGTERM;
        if writable {
            flags |= bindings::FOLL_WRITE;
        }
        let count = range.pages();
        let locked = Locked::new(count)?;
        // INVARIANT: There are none yet.
        let mut pinned = Self {
            range,
            pages: KVVec::with_capacity(count, GFP_KERNEL)?,
            writable,
            kept: false,
            _locked: locked,
        };
        let start = range.address - range.offset();
        while let Some(left @ 1..) = count.checked_sub(pinned.pages.len()) {
            let address = start + pinned.pages.len() * PAGE_SIZE;
            let room = pinned.pages.spare_capacity_mut();
            let wanted = left.min(BATCH).min(room.len());
            // Not the fast one, which does not look whether a driver has mapped the pages.
            // SAFETY: There is room for as many pages as are asked for.
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
                // SAFETY: So many were written, at most `wanted`.
                Ok(got) => unsafe { pinned.pages.inc_len(got) },
                Err(_) => return Err(Error::from_errno(got as c_int)),
            }
        }
        Ok(pinned)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let (pages, count) = (self.pages.as_mut_ptr(), self.pages.len());
        // SAFETY: By the type invariants. Whoever could write the pages has ended to.
        unsafe { bindings::unpin_user_pages_dirty_lock(pages, count, self.writable) };
    }
}

/// A list of pieces of memory, to be mapped for DMA. Freed when dropped.
struct Table(Opaque<bindings::sg_table>);

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: The table was allocated.
        unsafe { bindings::sg_free_table(self.0.get()) };
    }
}

/// Memory of a process, pinned and mapped for a device's DMA.
///
/// Must be dropped while the driver is bound to the device, and after the device has ended to use
/// it, or else given to [`UserMemory::keep`].
///
/// # Invariants
///
/// `table` is mapped for `device`, in this direction.
pub(crate) struct UserMemory {
    table: Table,
    device: ARef<device::Device>,
    direction: DataDirection,
    pinned: Pinned,
}

// SAFETY: The table belongs to no thread.
unsafe impl Send for UserMemory {}
// SAFETY: Nothing changes the table until it is dropped.
unsafe impl Sync for UserMemory {}

impl UserMemory {
    /// Maps pinned pages for `device`, which may do with them what `rights` say.
    ///
    /// The process and the device use the memory at the same time, so it must not be mapped by way
    /// of a bounce buffer.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the device could reach the memory by way of one alone; `ENOMEM`.
    pub(crate) fn map(
        mut pinned: Pinned,
        device: &device::Device<Bound>,
        rights: u32,
    ) -> Result<Self> {
        let range = pinned.range;
        let table = Opaque::zeroed();
        // SAFETY: The list is as long as said, and the pages are there for as long as the table is,
        // or longer. The bytes lie in them.
        to_result(unsafe {
            bindings::sg_alloc_table_from_pages_segment(
                table.get(),
                pinned.pages.as_mut_ptr(),
                pinned.pages.len() as c_uint,
                range.offset() as c_uint,
                range.length,
                MAX_SEGMENT,
                bindings::GFP_KERNEL,
            )
        })?;
        let table = Table(table);
        let direction = match (rights & RIGHT_READ != 0, rights & RIGHT_WRITE != 0) {
            (true, false) => DataDirection::ToDevice,
            (false, true) => DataDirection::FromDevice,
            (true, true) | (false, false) => DataDirection::Bidirectional,
        };
        // SAFETY: The device is bound, and the table is valid and not mapped.
        let mapped = to_result(unsafe {
            bindings::dma_map_sgtable(as_raw(device), table.0.get(), direction.into(), ATTRIBUTES)
        });
        mapped.map_err(|error| {
            // The DMA API has no number of its own for memory that it would have to copy.
            if error == EIO {
                EOPNOTSUPP
            } else {
                error
            }
        })?;
        // INVARIANT: Mapped just now.
        Ok(Self {
            table,
            device: device.into(),
            direction,
            pinned,
        })
    }

    /// Leaves the pages pinned and mapped for good, as the device may still write them. They count
    /// as a buffer in `kept`, and no longer against the process's limit.
    pub(crate) fn keep(mut self, kept: &Kept) {
        kept.count_buffer(self.size());
        self.pinned.kept = true;
    }

    /// Bytes that are pinned.
    fn size(&self) -> usize {
        self.pinned.pages.len() * PAGE_SIZE
    }

    /// Where the device finds the bytes, in at most `limit` pieces.
    ///
    /// # Errors
    ///
    /// `E2BIG` if they are more; `ENOMEM`.
    pub(crate) fn segments(&self, limit: usize) -> Result<KVVec<Segment>> {
        // SAFETY: The table is valid and does not change while it is borrowed.
        let table = unsafe { SGTable::from_raw(self.table.0.get()) };
        if table.iter().count() > limit {
            return Err(E2BIG);
        }
        let mut segments = KVVec::with_capacity(table.iter().count(), GFP_KERNEL)?;
        for piece in table.iter() {
            let segment = Segment {
                address: piece.dma_address(),
                length: piece.dma_len(),
            };
            segments.push_within_capacity(segment).map_err(|_| E2BIG)?;
        }
        Ok(segments)
    }
}

impl Drop for UserMemory {
    fn drop(&mut self) {
        if self.pinned.kept {
            return;
        }
        let device = as_raw(&self.device);
        // SAFETY: By the type invariants; whoever owns this drops it while the driver is bound.
        unsafe {
            bindings::dma_unmap_sgtable(
                device,
                self.table.0.get(),
                self.direction.into(),
                ATTRIBUTES,
            );
        }
    }
}

/// Longest piece in bytes; the kernel rounds it to whole pages.
const MAX_SEGMENT: c_uint = c_uint::MAX;
/// No bounce buffer, nor anything else that would ask for the memory to be synchronised.
const ATTRIBUTES: c_ulong = bindings::DMA_ATTR_REQUIRE_COHERENT as c_ulong;

fn as_raw<C: device::DeviceContext>(device: &device::Device<C>) -> *mut bindings::device {
    // CAST: `Device` is a transparent wrapper of `struct device`.
    core::ptr::from_ref(device).cast_mut().cast()
}
