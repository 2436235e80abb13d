// SPDX-License-Identifier: GPL-2.0-only

//! The mmap hook: who may map what, and how.
//!
//! Every mapping is shared, never executable, and lies in one region as a whole. What it shows is
//! populated here; `crate::mappings` tells how it is revoked.

use crate::{
    file::OpenFile,
    interface::{
        layout::MemoryPart,
        mmap, //
    },
    vma::{
        self,
        CachePolicy, //
    },
};
use kernel::{
    bindings,
    mm::virt::VmaNew,
    page::PAGE_SIZE,
    prelude::*, //
};

/// Whether a forked child gets the mapping too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fork {
    /// It does.
    Inherited,
    /// It does not: one queue, one process.
    Withheld,
}

/// Maps a region of the file's device.
///
/// # Errors
///
/// `EINVAL` if the mapping is private, if its offset is not one of a region, or if it leaves the
/// region; `EPERM` if it is executable, or without `CAP_SYS_RAWIO` for the public registers;
/// `EACCES` if it is writable and the region is not; `ENXIO` if the file has no such region;
/// `ENODEV` if the device is gone; `ENOMEM`.
pub(crate) fn map(file: &OpenFile, vma: &VmaNew) -> Result {
    vma::require_shared(vma)?;
    vma.try_clear_mayexec().map_err(|_| EPERM)?;
    let region = mmap::decode(vma::offset(vma));

    file.with_objects(|device, objects| {
        file.mappings.remember(vma.mm())?;
        match region.kind {
            mmap::KIND_PUBLIC_REGISTERS => {
                if region.index != 0 {
                    return Err(ENXIO);
                }
                if !may_access_raw_io() {
                    return Err(EPERM);
                }
                let page = device.public_page()?;
                let page = page.part(within(vma, region.offset, page.length())?, length(vma))?;
                prepare(vma, Fork::Withheld);
                vma::map_io(vma, page, CachePolicy::Uncached)
            }
            mmap::KIND_DEVICE_MEMORY => {
                let owned = objects
                    .ranges
                    .iter()
                    .find(|range| range.window() == region.index);
                let owned = owned.ok_or(ENXIO)?;
                let policy = match owned.part() {
                    MemoryPart::WriteCombining => CachePolicy::WriteCombining,
                    MemoryPart::Uncached => CachePolicy::Uncached,
                    MemoryPart::Lazy => return Err(ENXIO),
                };
                let range = device.memory_range(owned.range())?;
                let range = range.part(within(vma, region.offset, range.length())?, length(vma))?;
                prepare(vma, Fork::Inherited);
                vma::map_io(vma, range, policy)
            }
            mmap::KIND_SUBMISSION_RING => {
                let ring = objects.queue(region.index.into())?.submission();
                let offset = within(vma, region.offset, ring.size())?;
                prepare(vma, Fork::Withheld);
                vma::map_coherent(vma, device.pdev().as_ref(), ring, offset)
            }
            mmap::KIND_COMPLETION_RING => {
                let ring = objects.queue(region.index.into())?.completion();
                let offset = within(vma, region.offset, ring.size())?;
                vma.try_clear_maywrite().map_err(|_| EACCES)?;
                prepare(vma, Fork::Withheld);
                vma::map_coherent(vma, device.pdev().as_ref(), ring, offset)
            }
            mmap::KIND_BUFFER => {
                let owned = objects
                    .buffers
                    .iter()
                    .find(|owned| owned.window() == region.index);
                let memory = owned.ok_or(ENXIO)?.memory();
                let offset = within(vma, region.offset, memory.size())?;
                prepare(vma, Fork::Inherited);
                vma::map_coherent(vma, device.pdev().as_ref(), memory, offset)
            }
            _ => Err(EINVAL),
        }
    })
}

/// Sets what all mappings have in common: nobody looks at the pages, or grows or dumps them.
fn prepare(vma: &VmaNew, fork: Fork) {
    vma.set_io();
    vma.set_dontexpand();
    vma.set_dontdump();
    if fork == Fork::Withheld {
        vma.set_dontcopy();
    }
}

fn length(vma: &VmaNew) -> usize {
    vma.end() - vma.start()
}

/// Checks that a mapping at `offset` of a region of `size` bytes stays inside; gives the offset.
fn within(vma: &VmaNew, offset: u64, size: usize) -> Result<usize> {
    let offset = usize::try_from(offset)?;
    let end = offset.checked_add(length(vma)).ok_or(EINVAL)?;
    if end > size.next_multiple_of(PAGE_SIZE) {
        return Err(EINVAL);
    }
    Ok(offset)
}

fn may_access_raw_io() -> bool {
    // SAFETY: `capable` can be called in any process context.
    unsafe { bindings::capable(bindings::CAP_SYS_RAWIO as i32) }
}
