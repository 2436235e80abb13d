// SPDX-License-Identifier: GPL-2.0-only

//! The kernel's own mapping of memory with a cache policy, on x86-64. It gets the policy too: the
//! processor leaves undefined what two policies for one page do.

use core::ops::Range;
use kernel::{
    error::to_result,
    page::PAGE_SIZE,
    prelude::*, //
};

// Exported by the kernel, but not in its bindings.
extern "C" {
    fn set_memory_wc(address: c_ulong, pages: c_int) -> c_int;
    fn set_memory_uc(address: c_ulong, pages: c_int) -> c_int;
    fn set_memory_wb(address: c_ulong, pages: c_int) -> c_int;
}

/// Has the kernel's own mapping of whole pages combine writes, or not cache at all. After an error,
/// some may do so.
///
/// # Errors
///
/// Those of the kernel.
///
/// # Safety
///
/// The pages must be memory of the linear mapping that the caller owns.
pub(super) unsafe fn begin(memory: &Range<usize>, combining: bool) -> Result {
    let (address, pages) = pages(memory);
    // SAFETY: The caller promises that it owns the pages.
    to_result(unsafe {
        if combining {
            set_memory_wc(address, pages)
        } else {
            set_memory_uc(address, pages)
        }
    })
}

/// Has the kernel's own mapping of the pages be cached again.
///
/// # Errors
///
/// Those of the kernel. The pages then must not be freed.
///
/// # Safety
///
/// As for [`begin`], and no process may map the pages any more.
pub(in super::super) unsafe fn end(memory: &Range<usize>) -> Result {
    let (address, pages) = pages(memory);
    // SAFETY: The caller promises that it owns the pages, and alone uses them.
    to_result(unsafe { set_memory_wb(address, pages) })
}

/// Has the kernel and processes see the same bytes. They do.
///
/// # Safety
///
/// None is needed. It is as on other architectures.
pub(in super::super) unsafe fn agree(_memory: &Range<usize>) {}

fn pages(memory: &Range<usize>) -> (c_ulong, c_int) {
    (memory.start as c_ulong, (memory.len() / PAGE_SIZE) as c_int)
}
