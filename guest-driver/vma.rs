// SPDX-License-Identifier: GPL-2.0-only

//! What Linux 7.3 does not offer for a VMA that is being made: offset, protection, population.

use crate::resources::IoRange;
use kernel::{
    bindings,
    device::{
        self,
        Bound, //
    },
    dma::Coherent,
    error::to_result,
    mm::virt::{
        flags,
        VmaNew, //
    },
    page::PAGE_SHIFT,
    prelude::*, //
};

// `shim.c`: inline functions and macros of the kernel.
#[expect(
    improper_ctypes,
    reason = "the kernel's structs are opaque to us, and only pointed to"
)]
extern "C" {
    fn ringbar_io_remap_pfn_range(
        vma: *mut bindings::vm_area_struct,
        address: c_ulong,
        pfn: c_ulong,
        size: c_ulong,
        prot: bindings::pgprot_t,
    ) -> c_int;
    fn ringbar_pgprot_noncached(prot: bindings::pgprot_t) -> bindings::pgprot_t;
    fn ringbar_pgprot_writecombine(prot: bindings::pgprot_t) -> bindings::pgprot_t;
}

/// How the processor may cache a mapping.
#[derive(Clone, Copy)]
pub(crate) enum CachePolicy {
    /// Writes may be gathered, nothing is cached.
    WriteCombining,
    /// Every access reaches the device, in order.
    Uncached,
}

/// Refuses private mappings: they would show copies.
///
/// # Errors
///
/// `EINVAL` for a private mapping.
pub(crate) fn require_shared(vma: &VmaNew) -> Result {
    // Not VM_SHARED, which a shared mapping of a file opened read-only lacks.
    if vma.flags() & flags::MAYSHARE == 0 {
        return Err(EINVAL);
    }
    Ok(())
}

/// Offset of the mapping in the file, in bytes.
pub(crate) fn offset(vma: &VmaNew) -> u64 {
    // SAFETY: The VMA is valid and nobody else has it yet.
    let pages = unsafe { (*vma.as_ptr()).vm_pgoff };
    // The offset came in as a byte offset, so this does not overflow.
    (pages as u64) << PAGE_SHIFT
}

/// Maps all of `range` at the start of the VMA.
///
/// # Errors
///
/// `EINVAL` if the VMA is not as long as the range; `ENOMEM`.
pub(crate) fn map_io(vma: &VmaNew, range: IoRange, policy: CachePolicy) -> Result {
    if vma.end() - vma.start() != range.length() {
        return Err(EINVAL);
    }
    // SAFETY: The VMA is valid and nobody else has it yet.
    let prot = unsafe { (*vma.as_ptr()).vm_page_prot };
    let prot = match policy {
        // SAFETY: A pure function of its argument.
        CachePolicy::WriteCombining => unsafe { ringbar_pgprot_writecombine(prot) },
        // SAFETY: As above.
        CachePolicy::Uncached => unsafe { ringbar_pgprot_noncached(prot) },
    };
    // SAFETY: As above; later faults and mprotect start from this protection.
    unsafe { (*vma.as_ptr()).vm_page_prot = prot };
    // SAFETY: The VMA is being set up in the mmap hook and is exactly as long as the range, which
    // by its invariants is in a BAR of ours. Revocation removes the pages before the BAR goes.
    to_result(unsafe {
        ringbar_io_remap_pfn_range(
            vma.as_ptr(),
            vma.start(),
            (range.start() >> PAGE_SHIFT) as c_ulong,
            range.length(),
            prot,
        )
    })
}

/// Maps `memory` from byte `offset` on, a multiple of the page size, at the start of the VMA.
///
/// # Errors
///
/// `ENXIO` if the VMA goes beyond the memory; `ENOMEM`.
pub(crate) fn map_coherent(
    vma: &VmaNew,
    device: &device::Device<Bound>,
    memory: &Coherent<[u8]>,
    offset: usize,
) -> Result {
    let raw = vma.as_ptr();
    // SAFETY: The VMA is valid and nobody else has it yet.
    let pgoff = unsafe { (*raw).vm_pgoff };
    // `dma_mmap_attrs` takes the VMA's offset as one in the memory; ours says the region as well.
    // SAFETY: As above.
    unsafe { (*raw).vm_pgoff = offset >> PAGE_SHIFT };
    // SAFETY: The VMA is being set up in the mmap hook. Memory, DMA address and size belong
    // together by the invariants of `Coherent`, and `device` is the one it was allocated for.
    // Revocation, or the end of the file that the VMA holds, comes before the memory is freed.
    let result = to_result(unsafe {
        bindings::dma_mmap_attrs(
            core::ptr::from_ref(device).cast_mut().cast(),
            raw,
            memory.as_mut_ptr().cast(),
            memory.dma_address(),
            memory.size(),
            0,
        )
    });
    // SAFETY: As above.
    unsafe { (*raw).vm_pgoff = pgoff };
    result
}
