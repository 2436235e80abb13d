// SPDX-License-Identifier: GPL-2.0-only

//! The mmap hook: checks a request, fills its VMA by kind, and counts it.
//!
//! Every mapping is shared, never executable, and lies in one region as a whole. A [`Kind`] decides
//! the rest.

use super::{
    implied_exec,
    kind::Kind,
    mappable::{
        Mappable,
        OnFault,
        Span, //
    },
    mapped_file::MappedFile,
    offset::{
        decode,
        Region, //
    },
    operations::Operations,
    series::MAYSHARE,
    setup::VmaSetup, //
};
use kernel::{
    bindings,
    mm::virt::VmaNew,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};

/// A kind of the files `F`, as the hook finds it by number.
pub(crate) struct Entry<F> {
    number: u8,
    name: &'static str,
    map: fn(&F, &VmaNew, Region) -> Result,
}

/// Returns the entry of a kind that the mmap hook populates.
pub(crate) const fn populated<K: Kind>() -> Entry<K::File> {
    Entry {
        number: K::NUMBER,
        name: K::NAME,
        map: |file, vma, region| set_up::<K>(file, vma, region, Operations::<K>::POPULATED, |_| 0),
    }
}

/// Returns the entry of a kind that the fault handler populates.
pub(crate) const fn on_fault<K: Kind>() -> Entry<K::File>
where
    for<'a> K::Memory<'a>: OnFault,
{
    Entry {
        number: K::NUMBER,
        name: K::NAME,
        map: |file, vma, region| {
            set_up::<K>(file, vma, region, Operations::<K>::ON_FAULT, |memory| {
                memory.serial().raw()
            })
        },
    }
}

/// Maps a region of the file, which has these kinds.
///
/// # Errors
///
/// `EINVAL` if the mapping is private; `EPERM` if the process asks for execute permission, or may
/// not have the region; `EACCES` if it is writable and the kind is not; `ENXIO` if there is no such
/// region; `EOVERFLOW` if it leaves the region; `ENODEV` if the device is gone; `ENOMEM`.
pub(super) fn map<F: MappedFile>(kinds: &[Entry<F>], file: &F, vma: &VmaNew) -> Result {
    // Not VM_SHARED: a shared mapping of a file opened read-only lacks it.
    if vma.flags() & MAYSHARE == 0 {
        return Err(EINVAL);
    }
    implied_exec::take_away(vma);
    // Without VM_MAYEXEC, mprotect cannot make the mapping executable later.
    vma.try_clear_mayexec().map_err(|_| EPERM)?;
    // SAFETY: The VMA is valid, and only this hook has it yet.
    let pgoff = unsafe { (*vma.as_ptr()).vm_pgoff };
    let region = decode(bytes(pgoff));
    let kind = kind_of(kinds, region).ok_or(ENXIO)?;
    (kind.map)(file, vma, region)
}

/// Returns the name of the kind of a mapping at `pgoff` pages.
pub(super) fn name_of<F>(kinds: &[Entry<F>], pgoff: usize) -> &'static str {
    kind_of(kinds, decode(bytes(pgoff))).map_or("unknown", |kind| kind.name)
}

fn kind_of<F>(kinds: &[Entry<F>], region: Region) -> Option<&Entry<F>> {
    kinds.iter().find(|kind| kind.number == region.kind)
}

/// Returns the offset of page `pgoff` of a file. The kernel refuses one that overflows
/// (`file_mmap_ok`).
fn bytes(pgoff: usize) -> u64 {
    (pgoff as u64) << PAGE_SHIFT
}

/// Checks the request against kind and region, fills the VMA and gives it its operations. `data` is
/// what these need to know of the memory.
fn set_up<K: Kind>(
    file: &K::File,
    vma: &VmaNew,
    region: Region,
    operations: &'static bindings::vm_operations_struct,
    data: fn(&K::Memory<'_>) -> usize,
) -> Result {
    K::check(region.offset)?;
    if u32::from(region.index) >= K::COUNT {
        return Err(ENXIO);
    }
    if !K::WRITABLE {
        // Without VM_MAYWRITE, mprotect cannot make the mapping writable later.
        vma.try_clear_maywrite().map_err(|_| EACCES)?;
    }
    file.with_objects(|device, objects| {
        let memory = K::memory(device, objects, region.index)?;
        let span = Span {
            offset: usize::try_from(region.offset)?,
            length: vma.end() - vma.start(),
        };
        let end = span.offset.checked_add(span.length).ok_or(EOVERFLOW)?;
        if end > memory.size().next_multiple_of(PAGE_SIZE) {
            return Err(EOVERFLOW);
        }
        // Before the first page is there. Otherwise revocation could not find the address space,
        // and the page would stay.
        file.mappings().remember(vma.mm())?;
        let data = data(&memory);
        memory.populate(K::FORK, span, VmaSetup::new(vma))?;
        // Last: the kernel calls `close`, which counts down, only for a VMA whose hook succeeded.
        file.mappings().count_one_more(vma.mm().as_raw());
        // SAFETY: The VMA is valid, and only this hook has it yet. The operations are those of a
        // VMA of a file of this type, and nothing but them looks at the data.
        unsafe {
            (*vma.as_ptr()).vm_ops = operations;
            (*vma.as_ptr()).vm_private_data = data as *mut c_void;
        }
        Ok(())
    })
}
