// SPDX-License-Identifier: GPL-2.0-only

//! The VMA operations: counts of mappings, faults, and accesses of debuggers.
//!
//! A VMA holds its file, so the file is there in all operations. The kernel does not call `open`
//! for the first mapping; the mmap hook counts that one itself.

use super::{
    access::Access,
    kind::Kind,
    mappable::{
        Mappable,
        OnFault,
        Target, //
    },
    mapped_file::MappedFile,
    offset::decode,
    serial::Serial,
};
use core::marker::PhantomData;
use kernel::{
    bindings,
    mm::MmWithUser,
    page::{
        PAGE_MASK,
        PAGE_SHIFT, //
    },
    prelude::*,
    sync::ArcBorrow, //
};

// Exported by the kernel, but not in its bindings.
#[expect(
    improper_ctypes,
    reason = "the kernel's structs are opaque to us, and only pointed to"
)]
extern "C" {
    fn vmf_insert_page_mkwrite(
        vmf: *mut bindings::vm_fault,
        page: *mut bindings::page,
        write: bool,
    ) -> bindings::vm_fault_t;
}

/// The operations of a VMA of kind `K`.
pub(super) struct Operations<K>(PhantomData<K>);

impl<K: Kind> Operations<K> {
    /// For a kind that is populated in the mmap hook. Without a fault handler, a page that was
    /// taken away gives SIGBUS.
    pub(super) const POPULATED: &'static bindings::vm_operations_struct =
        &bindings::vm_operations_struct {
            open: Some(open::<K>),
            close: Some(close::<K>),
            access: Some(access::<K>),
            ..pin_init::zeroed()
        };
}

impl<K: Kind> Operations<K>
where
    for<'a> K::Memory<'a>: OnFault,
{
    /// For a kind that is populated page by page.
    pub(super) const ON_FAULT: &'static bindings::vm_operations_struct =
        &bindings::vm_operations_struct {
            open: Some(open::<K>),
            close: Some(close::<K>),
            fault: Some(fault::<K>),
            access: Some(access_on_fault::<K>),
            ..pin_init::zeroed()
        };
}

/// # Safety
///
/// The kernel calls it for a new VMA of kind `K`: after fork, split or mremap.
unsafe extern "C" fn open<K: Kind>(vma: *mut bindings::vm_area_struct) {
    // SAFETY: The caller promises that the VMA is one of kind `K`, and so of a `K::File`.
    let file = unsafe { file_of::<K>(vma) };
    // SAFETY: The VMA belongs to an address space that is being changed, and so is in use.
    let space = unsafe { MmWithUser::from_raw((*vma).vm_mm) };
    // Without memory for the entry, debugfs will not list the mapping. Revocation finds it all the
    // same, as the kernel lists a copied VMA before it copies pages.
    let _ = file.mappings().remember(space);
    file.mappings().count_one_more(space.as_raw());
}

/// # Safety
///
/// The kernel calls it for a VMA of kind `K` that goes.
unsafe extern "C" fn close<K: Kind>(vma: *mut bindings::vm_area_struct) {
    // SAFETY: The caller promises that the VMA is valid and one of kind `K`, and so of a `K::File`.
    let (file, space) = unsafe { (file_of::<K>(vma), (*vma).vm_mm) };
    file.mappings().count_one_less(space);
}

/// # Safety
///
/// The kernel calls it for a page of a VMA of kind `K` that is not there, with the VMA locked.
unsafe extern "C" fn fault<K: Kind>(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t
where
    for<'a> K::Memory<'a>: OnFault,
{
    // SAFETY: The caller promises that the fault is valid for the call, with all that it points to.
    let (vma, pgoff, address, flags) = unsafe {
        let place = &(*vmf).__bindgen_anon_1;
        (place.vma, place.pgoff, place.address, (*vmf).flags)
    };
    let written = flags & bindings::fault_flag_FAULT_FLAG_WRITE != 0;
    // SAFETY: The caller promises that the VMA is one of kind `K`, and so of a `K::File`.
    let file = unsafe { file_of::<K>(vma) };
    let region = decode((pgoff as u64) << PAGE_SHIFT);
    let inserted = file.with_objects(|device, objects| {
        let memory = K::memory(device, objects, region.index)?;
        // SAFETY: The caller promises that the VMA is valid and locked.
        match unsafe { page(vma, &memory, region.offset as usize) }? {
            // Both inside `with_objects`, so that revocation comes before or after. Outside, a page
            // could be entered after revocation, and stay.
            // SAFETY: By the promise of `OnFault` the VMA is one of frames. It is locked, and the
            // address lies in it.
            Target::Frame(frame) => Ok(unsafe { bindings::vmf_insert_pfn(vma, address, frame) }),
            // SAFETY: By the promise of `OnFault` the VMA is one of pages, and the page is there.
            // The VMA is locked. The kernel takes a reference of its own.
            Target::Page(page) => Ok(unsafe { vmf_insert_page_mkwrite(vmf, page, written) }),
        }
    });
    inserted.unwrap_or(bindings::vm_fault_reason_VM_FAULT_SIGBUS)
}

/// Returns the page of `memory` at byte `offset`, for a VMA.
///
/// # Errors
///
/// `EFAULT` if the VMA is a mapping of earlier memory, which had the same number; the errors of
/// [`OnFault::page`].
///
/// # Safety
///
/// The VMA must be valid and locked.
unsafe fn page(
    vma: *mut bindings::vm_area_struct,
    memory: &impl OnFault,
    offset: usize,
) -> Result<Target> {
    // SAFETY: The caller promises that the VMA is valid and locked.
    let mapped = unsafe { (*vma).vm_private_data } as usize;
    if Serial::from_raw(mapped) != memory.serial() {
        return Err(EFAULT);
    }
    memory.page(offset)
}

/// # Safety
///
/// The kernel calls it for a debugger, with a locked VMA of kind `K` that holds the address, and a
/// buffer of `length` bytes.
unsafe extern "C" fn access<K: Kind>(
    vma: *mut bindings::vm_area_struct,
    address: c_ulong,
    buffer: *mut c_void,
    length: c_int,
    write: c_int,
) -> c_int {
    // SAFETY: The caller promises just what `reach` asks for.
    unsafe { reach::<K>(vma, address, buffer, length, write, |_, _, _| Ok(())) }
}

/// As [`access`], for a kind that is populated page by page. Enters the page first, as a touch of
/// the process would.
///
/// # Safety
///
/// As of [`access`].
unsafe extern "C" fn access_on_fault<K: Kind>(
    vma: *mut bindings::vm_area_struct,
    address: c_ulong,
    buffer: *mut c_void,
    length: c_int,
    write: c_int,
) -> c_int
where
    for<'a> K::Memory<'a>: OnFault,
{
    let enter = |memory: &K::Memory<'_>, offset: usize, there: bool| {
        if there {
            return Ok(());
        }
        // SAFETY: The caller promises that the VMA is valid and locked.
        match unsafe { page(vma, memory, offset & PAGE_MASK) }? {
            Target::Frame(frame) => {
                let start = address & PAGE_MASK;
                // SAFETY: By the promise of `OnFault` the VMA is one of frames. It is locked, and
                // the address lies in it.
                let entered = unsafe { bindings::vmf_insert_pfn(vma, start, frame) };
                if entered == bindings::vm_fault_reason_VM_FAULT_NOPAGE {
                    Ok(())
                } else {
                    Err(EFAULT)
                }
            }
            // The kernel enters and reaches such pages by itself.
            Target::Page(_) => Err(EFAULT),
        }
    };
    // SAFETY: The caller promises just what `reach` asks for.
    unsafe { reach::<K>(vma, address, buffer, length, write, enter) }
}

/// Carries out the access of a debugger, after `enter`, which learns the memory, the byte in it,
/// and whether the page is there. Returns the number of bytes or an errno, of which the kernel
/// makes `EIO`.
///
/// All of it is inside [`MappedFile::with_objects`], so that revocation comes before or after.
///
/// # Safety
///
/// As of [`access`].
unsafe fn reach<K: Kind>(
    vma: *mut bindings::vm_area_struct,
    address: usize,
    buffer: *mut c_void,
    length: c_int,
    write: c_int,
    enter: impl FnOnce(&K::Memory<'_>, usize, bool) -> Result,
) -> c_int {
    let carry_out = || {
        let length = usize::try_from(length)?;
        // SAFETY: The caller promises a valid, locked VMA with the address, and the buffer.
        let access = unsafe { Access::new(vma, address, buffer, length, write != 0) }?;
        // SAFETY: The caller promises that the VMA is valid and locked, so it does not change.
        let (start, pgoff) = unsafe {
            let range = &(*vma).__bindgen_anon_1.__bindgen_anon_1;
            (range.vm_start, (*vma).vm_pgoff)
        };
        // Not beyond the region's end: the VMA lies in one region, and the address in the VMA.
        let region = decode(((pgoff as u64) << PAGE_SHIFT) + (address - start) as u64);
        // SAFETY: The caller promises that the VMA is one of kind `K`, and so of a `K::File`.
        unsafe { file_of::<K>(vma) }.with_objects(|device, objects| {
            K::check_debugger(device)?;
            let memory = K::memory(device, objects, region.index)?;
            let offset = usize::try_from(region.offset)?;
            enter(&memory, offset, access.is_present())?;
            memory.access(offset, access)
        })
    };
    let copied: Result<usize> = carry_out();
    copied.map_or_else(Error::to_errno, |copied| copied as c_int)
}

/// # Safety
///
/// The VMA must be one of a `K::File`.
unsafe fn file_of<'a, K: Kind>(vma: *mut bindings::vm_area_struct) -> ArcBorrow<'a, K::File> {
    // SAFETY: A VMA holds its file until after `close`, and a file that is held is not released.
    unsafe { K::File::borrow((*vma).vm_file) }
}
