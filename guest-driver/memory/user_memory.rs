// SPDX-License-Identifier: GPL-2.0-only

//! Pinned memory of a process, mapped for a device's DMA without a copy in between.
//!
//! The pages are given back when [`UserMemory`] is dropped: after the device has confirmed that it
//! no longer uses them.

use super::pinned::Pinned;
use crate::{
    interface::setup::{
        Segment,
        RIGHT_READ,
        RIGHT_WRITE, //
    },
    mapping::series::not_supported, //
};
use kernel::{
    bindings,
    device::{
        self,
        Bound, //
    },
    dma::DataDirection,
    error::to_result,
    page::PAGE_SIZE,
    prelude::*,
    scatterlist::SGTable,
    sync::aref::ARef,
    types::Opaque, //
};

/// A list of pieces of memory, to be mapped for DMA. Freed when dropped.
struct Table(Opaque<bindings::sg_table>);

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: A `Table` is made only of a table that was allocated, and frees it once.
        unsafe { bindings::sg_free_table(self.0.get()) };
    }
}

/// Memory of a process, pinned and mapped for a device's DMA.
///
/// Must be dropped while the driver is bound to the device, after the last use by the device.
/// Forgetting it keeps the memory for ever.
///
/// # Invariants
///
/// `table` is mapped for `device`, in this direction.
pub(super) struct UserMemory {
    table: Table,
    device: ARef<device::Device>,
    direction: DataDirection,
    pinned: Pinned,
}

// SAFETY: A mapping of the DMA API belongs to no thread: any may undo it.
unsafe impl Send for UserMemory {}
// SAFETY: The table does not change until it is dropped, so threads may read it side by side.
unsafe impl Sync for UserMemory {}

impl UserMemory {
    /// Maps pinned pages for `device`, which may access them by `rights`.
    ///
    /// The process and the device use the memory at the same time. A bounce buffer between them
    /// would show neither the writes of the other, so mapping by way of one is refused.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the device could reach the memory by way of one alone; `ENOMEM`.
    pub(super) fn map(
        mut pinned: Pinned,
        device: &device::Device<Bound>,
        rights: u32,
    ) -> Result<Self> {
        let range = pinned.range();
        let table = Opaque::zeroed();
        // SAFETY: Address and count are those of the list of pages, which are pinned for as long as
        // the table is there, or longer. By `UserRange` offset and length stay in these pages.
        to_result(unsafe {
            bindings::sg_alloc_table_from_pages_segment(
                table.get(),
                pinned.as_mut_ptr(),
                pinned.count() as c_uint,
                range.offset() as c_uint,
                range.length(),
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
        // SAFETY: The device is bound, and the table was allocated just now and is not mapped.
        let mapped = to_result(unsafe {
            bindings::dma_map_sgtable(as_raw(device), table.0.get(), direction.into(), ATTRIBUTES)
        });
        mapped.map_err(|error| {
            // The DMA API has no error of its own for memory that would need a bounce buffer.
            if error == EIO {
                not_supported()
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

    /// Returns the number of bytes that are pinned.
    pub(super) fn size(&self) -> usize {
        self.pinned.count() * PAGE_SIZE
    }

    /// Returns the pieces in which the device finds the bytes, at most `limit`.
    ///
    /// # Errors
    ///
    /// `E2BIG` if they are more; `ENOMEM`.
    pub(super) fn segments(&self, limit: usize) -> Result<KVVec<Segment>> {
        // SAFETY: By the type invariants the table is mapped, so it is valid. It does not change
        // while it is borrowed.
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
        let device = as_raw(&self.device);
        // SAFETY: By the type invariants the table is mapped for the device, in this direction. The
        // owner drops this while the driver is bound.
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
/// Refuses a bounce buffer, and other memory that would have to be synchronised.
const ATTRIBUTES: c_ulong = if cfg!(sabotage = "sees-caches") {
    0
} else {
    bindings::DMA_ATTR_REQUIRE_COHERENT as c_ulong
};

fn as_raw<C: device::DeviceContext>(device: &device::Device<C>) -> *mut bindings::device {
    // CAST: `Device` is a transparent wrapper of `struct device`.
    core::ptr::from_ref(device).cast_mut().cast()
}
