// SPDX-License-Identifier: GPL-2.0-only

//! Mappings: who may map what, and how.
//!
//! Every mapping is shared, never executable, and lies in one region as a whole. A [`Kind`] says
//! the rest. `crate::mappings` tells how mappings are counted and revoked.

pub(crate) mod cache;
mod coherent;
mod device_memory;
mod kernel_memory;
mod kind;
mod operations;
mod registers;
mod setup;

use crate::{
    file::OpenFile,
    interface::mmap::{
        self,
        Region, //
    },
};
use kernel::{
    bindings,
    mm::virt::{
        flags,
        VmaNew, //
    },
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};
use kind::{
    FaultKind,
    Kind,
    Span, //
};
use operations::Operations;
use setup::VmaSetup;

/// Maps a region of the file's device.
///
/// # Errors
///
/// `EINVAL` if the mapping is private; `EPERM` if it is executable, or the process may not have the
/// region; `EACCES` if it is writable and the kind is not; `ENXIO` if there is no such region;
/// `EOVERFLOW` if it leaves the region; `ENODEV` if the device is gone; `ENOMEM`.
pub(crate) fn map(file: &OpenFile, vma: &VmaNew) -> Result {
    // Not VM_SHARED, which a shared mapping of a file opened read-only lacks.
    if vma.flags() & flags::MAYSHARE == 0 {
        return Err(EINVAL);
    }
    vma.try_clear_mayexec().map_err(|_| EPERM)?;
    // SAFETY: The VMA is valid and nobody else has it yet. It came in as a byte offset, so this
    // does not overflow.
    let region = mmap::decode((unsafe { (*vma.as_ptr()).vm_pgoff } as u64) << PAGE_SHIFT);
    let kind = kind_of(region).ok_or(ENXIO)?;
    (kind.map)(file, vma, region)
}

/// Name of the kind of a mapping at `pgoff` pages.
pub(crate) fn name_of(pgoff: usize) -> &'static str {
    kind_of(mmap::decode((pgoff as u64) << PAGE_SHIFT)).map_or("unknown", |kind| kind.name)
}

/// A kind, as the hook finds it by number.
struct Entry {
    number: u8,
    name: &'static str,
    map: fn(&OpenFile, &VmaNew, Region) -> Result,
}

/// Every kind there is.
const KINDS: [Entry; 11] = [
    populated::<registers::PublicRegisters>(),
    populated::<registers::Kick>(),
    populated::<registers::Doorbell>(),
    populated::<registers::Status>(),
    populated::<coherent::SubmissionRing>(),
    populated::<coherent::CompletionRing>(),
    populated::<coherent::DmaBuffer>(),
    populated::<device_memory::DeviceMemory>(),
    on_fault::<device_memory::LazyDeviceMemory>(),
    populated::<kernel_memory::ContiguousMemory>(),
    on_fault::<kernel_memory::VmallocMemory>(),
];

const fn populated<K: Kind>() -> Entry {
    Entry {
        number: K::NUMBER,
        name: K::NAME,
        map: |file, vma, region| set_up::<K>(file, vma, region, Operations::<K>::POPULATED),
    }
}

const fn on_fault<K: FaultKind>() -> Entry {
    Entry {
        number: K::NUMBER,
        name: K::NAME,
        map: |file, vma, region| set_up::<K>(file, vma, region, Operations::<K>::ON_FAULT),
    }
}

fn kind_of(region: Region) -> Option<&'static Entry> {
    KINDS.iter().find(|kind| kind.number == region.kind)
}

/// Checks the request against kind and region, fills the VMA and gives it its operations.
fn set_up<K: Kind>(
    file: &OpenFile,
    vma: &VmaNew,
    region: Region,
    operations: &'static bindings::vm_operations_struct,
) -> Result {
    K::check(region.offset)?;
    if !K::WRITABLE {
        vma.try_clear_maywrite().map_err(|_| EACCES)?;
    }
    file.with_objects(|device, objects| {
        let size = K::size(device, objects, region.index)?;
        let span = Span {
            offset: usize::try_from(region.offset)?,
            length: vma.end() - vma.start(),
        };
        let end = span.offset.checked_add(span.length).ok_or(EOVERFLOW)?;
        if end > size.next_multiple_of(PAGE_SIZE) {
            return Err(EOVERFLOW);
        }
        // Before the first page is there: revocation must find the address space.
        file.mappings.remember(vma.mm())?;
        K::populate(device, objects, region.index, span, VmaSetup::new(vma))?;
        // Last, as the kernel calls `close` only for a VMA whose hook succeeded.
        file.mappings.count_one_more(vma.mm().as_raw());
        // SAFETY: The VMA is valid and nobody else has it yet. The operations are those of a VMA of
        // this file.
        unsafe { (*vma.as_ptr()).vm_ops = operations };
        Ok(())
    })
}
