// SPDX-License-Identifier: GPL-2.0-only

//! Parts of coherent memory.
//!
//! Linux 7.2 copies single values from and to such memory, but no slices.

use core::marker::PhantomData;
use kernel::{
    dma::{
        Coherent,
        DmaAddress, //
    },
    ptr::KnownSize, //
};

/// Returns the address of the memory, as the device has it.
pub(crate) fn dma_address<T: KnownSize + ?Sized>(memory: &Coherent<T>) -> DmaAddress {
    memory.dma_handle()
}

/// A part of coherent memory, for one copy.
///
/// # Invariants
///
/// `start` points to a valid value in memory that lives for `'a`.
pub(crate) struct Part<'a, T: ?Sized> {
    start: *mut T,
    memory: PhantomData<&'a T>,
}

impl<'a, T: ?Sized> Part<'a, T> {
    /// Returns the part of `memory` at `start`.
    ///
    /// # Safety
    ///
    /// `start` must point to a value in `memory`.
    pub(crate) unsafe fn new<M: KnownSize + ?Sized>(_: &'a Coherent<M>, start: *mut T) -> Self {
        // INVARIANT: The caller promises it, and the memory is borrowed.
        Self {
            start,
            memory: PhantomData,
        }
    }
}

impl<T: Copy> Part<'_, T> {
    /// Writes a value. The device may see any part of it first.
    pub(crate) fn copy_write(self, value: T) {
        // SAFETY: By the type invariants this is a valid place. The device may use the memory
        // meanwhile, and shares no Rust code whose assumptions could break.
        unsafe { self.start.write(value) };
    }
}

impl Part<'_, [u8]> {
    /// Writes bytes.
    ///
    /// # Panics
    ///
    /// If their number differs from that of the part.
    pub(crate) fn copy_from_slice(self, bytes: &[u8]) {
        assert_eq!(self.start.len(), bytes.len());
        // SAFETY: By the type invariants this is a valid place, and it is as long as the slice. The
        // slice is other memory, since no reference to coherent memory exists.
        unsafe {
            self.start
                .cast::<u8>()
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
    }

    /// Reads bytes. The device may write them meanwhile: then each has an old or a new value.
    ///
    /// # Panics
    ///
    /// If their number differs from that of the part.
    pub(crate) fn copy_to_slice(self, bytes: &mut [u8]) {
        assert_eq!(self.start.len(), bytes.len());
        // SAFETY: By the type invariants this is a valid place, and it is as long as the slice. The
        // slice is other memory, since no reference to coherent memory exists.
        unsafe {
            self.start
                .cast::<u8>()
                .copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len());
        }
    }
}

/// Returns a [`Part`] of memory, where that name is imported, too: `io_project!(memory, .field)`,
/// `io_project!(memory, [try: 0..16])`.
macro_rules! io_project {
    ($memory:expr, $($part:tt)*) => {{
        let memory: &kernel::dma::Coherent<_> = &$memory;
        let start = kernel::ptr::project!(mut memory.as_mut_ptr(), $($part)*);
        // SAFETY: A projection of the pointer to the memory is in the memory.
        unsafe { Part::new(memory, start) }
    }};
}
pub(crate) use io_project;
