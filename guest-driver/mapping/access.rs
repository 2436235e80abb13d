// SPDX-License-Identifier: GPL-2.0-only

//! An access of a debugger: ptrace, or `/proc/PID/mem`.
//!
//! The kernel has no pages for these mappings, so it asks the driver for the bytes. It asks
//! whatever the flags of the VMA are. So this layer itself refuses a write to a VMA that the
//! process may not write, and an access to a page that revocation has taken away.

use super::{
    cache,
    memory::Contiguous,
    series::memory::*, //
};
use core::marker::PhantomData;
use kernel::{
    bindings,
    dma::Coherent,
    page::PAGE_SIZE,
    prelude::*, //
};

// Exported by the kernel, but not in its bindings.
#[expect(
    improper_ctypes,
    reason = "the kernel's structs are opaque to us, and only pointed to"
)]
extern "C" {
    fn generic_access_phys(
        vma: *mut bindings::vm_area_struct,
        address: c_ulong,
        buffer: *mut c_void,
        length: c_int,
        write: c_int,
    ) -> c_int;
}

/// Bytes of one page of a mapping, to be copied from or to a buffer of the kernel.
///
/// # Invariants
///
/// The VMA is valid, its address space is locked, and `address` lies in it. `buffer` has `length`
/// bytes, which only this access uses. They end in the same page as they begin.
pub(crate) struct Access<'a> {
    vma: *mut bindings::vm_area_struct,
    address: usize,
    buffer: *mut u8,
    length: usize,
    write: bool,
    lifetime: PhantomData<&'a mut [u8]>,
}

impl Access<'_> {
    /// Takes an access as the kernel describes it, up to the end of its first page. The kernel asks
    /// again for the rest.
    ///
    /// # Errors
    ///
    /// `EACCES` for a write to a VMA that the process may not write.
    ///
    /// # Safety
    ///
    /// `vma` must be valid and hold `address`, and its address space be locked, as long as the
    /// result lives. So long `buffer` must have `length` bytes that nothing else uses.
    pub(super) unsafe fn new(
        vma: *mut bindings::vm_area_struct,
        address: usize,
        buffer: *mut c_void,
        length: usize,
        write: bool,
    ) -> Result<Self> {
        // SAFETY: The caller promises that the VMA is valid and its address space locked.
        let flags = unsafe { (*vma).__bindgen_anon_2.vm_flags };
        if write && flags & kernel::mm::virt::flags::WRITE == 0 {
            return Err(EACCES);
        }
        // INVARIANT: The caller promises all but the end, which is cut here.
        Ok(Self {
            vma,
            address,
            buffer: buffer.cast(),
            length: length.min(PAGE_SIZE - address % PAGE_SIZE),
            write,
            lifetime: PhantomData,
        })
    }

    /// Returns whether the page is in the page table.
    pub(super) fn is_present(&self) -> bool {
        // SAFETY: By the type invariants the VMA is valid and locked, and holds the address.
        unsafe { cache::observe(self.vma, self.address) }.is_some()
    }

    /// Copies bytes of I/O memory, by a mapping of the kernel with the policy of the page table.
    /// Returns their number.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the page is not there, or is not I/O memory; `ENOMEM`.
    pub(crate) fn io(self) -> Result<usize> {
        // SAFETY: By the type invariants VMA, address and buffer are valid for the call. The
        // caller is inside the gate, so the BAR stays until the call has returned.
        let copied = unsafe {
            generic_access_phys(
                self.vma,
                self.address,
                self.buffer.cast(),
                c_int::try_from(self.length)?,
                c_int::from(self.write),
            )
        };
        if copied < 0 {
            return Err(Error::from_errno(copied));
        }
        Ok(usize::try_from(copied)?)
    }

    /// Copies bytes of coherent memory, which the page shows from byte `offset` on. Returns their
    /// number.
    ///
    /// # Errors
    ///
    /// `EFAULT` if the page is not there, `EINVAL` if the bytes leave the memory.
    pub(crate) fn coherent(self, memory: &Coherent<[u8]>, offset: usize) -> Result<usize> {
        self.check_present()?;
        let end = offset.checked_add(self.length).ok_or(EINVAL)?;
        let part = io_project!(memory, [try: offset..end]);
        if self.write {
            // SAFETY: By the type invariants the buffer has so many bytes, which only this access
            // uses.
            part.copy_from_slice(unsafe { core::slice::from_raw_parts(self.buffer, self.length) });
        } else {
            // The kernel's buffer may be uninitialised, which a slice may not.
            // SAFETY: By the type invariants the buffer has so many bytes, which only this access
            // uses.
            unsafe { self.buffer.write_bytes(0, self.length) };
            // SAFETY: By the type invariants the buffer has so many bytes, which only this access
            // uses. They are initialised just now.
            part.copy_to_slice(unsafe {
                core::slice::from_raw_parts_mut(self.buffer, self.length)
            });
        }
        Ok(self.length)
    }

    /// Copies bytes of contiguous memory, which the page shows from byte `offset` on. Returns their
    /// number.
    ///
    /// # Errors
    ///
    /// `EFAULT` if the page is not there, `EINVAL` if the bytes leave the memory.
    pub(crate) fn contiguous(self, memory: &Contiguous, offset: usize) -> Result<usize> {
        self.check_present()?;
        memory.with_bytes(offset, self.length, |bytes| {
            let (from, to) = if self.write {
                (self.buffer, bytes)
            } else {
                (bytes, self.buffer)
            };
            // SAFETY: `Contiguous` has so many bytes there, and the buffer has as many by the type
            // invariants. They are different memory. A process may write the memory meanwhile: then
            // the bytes have any value, as a load of the process itself would.
            unsafe { from.copy_to_nonoverlapping(to, self.length) };
        })?;
        Ok(self.length)
    }

    /// Fails if the page is not there. The memory may be another one than that of the mapping then:
    /// a queue or buffer that took the number of a destroyed one.
    fn check_present(&self) -> Result {
        if self.is_present() {
            Ok(())
        } else {
            Err(EFAULT)
        }
    }
}
