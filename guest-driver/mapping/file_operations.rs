// SPDX-License-Identifier: GPL-2.0-only

//! The file operations of a node.
//!
//! The table is our own: Linux 7.3's `MiscDevice` takes fixed names only, has no `poll`, and does
//! not know the device that a driver is bound to.

use super::{
    driver::Driver,
    file::OpenFile,
    map,
    mapped_file::MappedFile,
    node::Node,
    series::{
        not_supported,
        this_module, //
    },
};
use core::marker::PhantomData;
use kernel::{
    bindings,
    error::to_result,
    fs::File,
    mm::virt::VmaNew,
    prelude::*,
    sync::{
        poll::PollTable,
        Arc, //
    },
    types::ForeignOwnable,
    uaccess::UserPtr, //
};

// `shim.c`: a field of the running task.
extern "C" {
    fn mapping_in_compat_syscall() -> bool;
}

/// The file operations of the nodes of driver `D`.
pub(super) struct FileOperations<D>(PhantomData<D>);

impl<D: Driver> FileOperations<D> {
    /// The table, for the misc core.
    pub(super) const TABLE: &'static bindings::file_operations = &bindings::file_operations {
        owner: this_module::<D::Module>().as_ptr(),
        open: Some(open::<D>),
        release: Some(release::<D>),
        mmap: Some(mmap_hook::<D>),
        poll: Some(poll::<D>),
        unlocked_ioctl: Some(ioctl::<D>),
        compat_ioctl: Some(compat_ioctl),
        ..pin_init::zeroed()
    };
}

/// Refuses the calls of 32-bit processes. Such a process could do everything but map: mmap offsets
/// need 51 bits of pages, and its mmap has 32.
///
/// # Errors
///
/// `EOPNOTSUPP`.
fn check_caller() -> Result {
    // SAFETY: Reads a field of the running task, and needs nothing.
    match unsafe { mapping_in_compat_syscall() } {
        true => Err(not_supported()),
        false => Ok(()),
    }
}

/// # Safety
///
/// The misc core calls it, for a file of a `Node<D>` that is being opened.
unsafe extern "C" fn open<D: Driver>(
    inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    // SAFETY: By the safety section inode and file are those that are being opened, valid for the
    // call.
    let result = to_result(unsafe { bindings::nonseekable_open(inode, file) });
    let result = result.and_then(|()| check_caller());
    // SAFETY: The file is valid for the call. The misc core has put a pointer to its own structure
    // there, which is that of a node with these operations. It keeps the node registered meanwhile.
    let node = unsafe { Node::<D>::of((*file).private_data) };
    let opened = result.and_then(|()| {
        // SAFETY: The file is valid for the call, and only this call has it yet, so no other thread
        // holds its position lock.
        let file = unsafe { File::from_raw_file(file) };
        // SAFETY: If this succeeds, the kernel calls `release` for the file in the end.
        unsafe { OpenFile::open(node.files(), file) }
    });
    match opened {
        Ok(opened) => {
            // SAFETY: The file is valid for the call, and its private data belongs to the driver
            // from its opening on.
            unsafe { (*file).private_data = opened.into_foreign() };
            0
        }
        Err(error) => error.to_errno(),
    }
}

/// # Safety
///
/// The VFS calls it, as the last call for a file that [`open`] opened.
unsafe extern "C" fn release<D: Driver>(
    _inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    // SAFETY: `open` put the pointer there, and this is the last call for the file, so no borrow of
    // it is left.
    let opened =
        unsafe { <Arc<OpenFile<D>> as ForeignOwnable>::from_foreign((*file).private_data) };
    opened.release();
    #[cfg(sabotage)]
    D::drop_file(opened);
    0
}

/// # Safety
///
/// The VFS calls it, for a file that [`open`] opened and a VMA that is being made.
unsafe extern "C" fn mmap_hook<D: Driver>(
    file: *mut bindings::file,
    vma: *mut bindings::vm_area_struct,
) -> c_int {
    // SAFETY: `open` has opened the file, and the VFS does not release it during a call for it.
    let opened = unsafe { OpenFile::<D>::borrow(file) };
    // SAFETY: The VMA is being made, and only this call has it meanwhile.
    let vma = unsafe { VmaNew::from_raw(vma) };
    match check_caller().and_then(|()| map::map(D::KINDS, &*opened, vma)) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// # Safety
///
/// The VFS calls it, for a file that [`open`] opened and a table that is valid or null.
unsafe extern "C" fn poll<D: Driver>(
    file: *mut bindings::file,
    table: *mut bindings::poll_table_struct,
) -> bindings::__poll_t {
    // SAFETY: `open` has opened the file, and the VFS does not release it during a call for it.
    let opened = unsafe { OpenFile::<D>::borrow(file) };
    // SAFETY: The file is valid for the call. The kernel locks the position of regular files and
    // folders only, so no thread holds such a lock.
    let file = unsafe { File::from_raw_file(file) };
    // SAFETY: By the safety section the table is valid or null.
    D::poll(&opened, file, unsafe { PollTable::from_raw(table) })
}

/// # Safety
///
/// The VFS calls it, for a file that [`open`] opened.
unsafe extern "C" fn ioctl<D: Driver>(
    file: *mut bindings::file,
    number: c_uint,
    argument: c_ulong,
) -> c_long {
    // SAFETY: `open` has opened the file, and the VFS does not release it during a call for it.
    let opened = unsafe { OpenFile::<D>::borrow(file) };
    match D::ioctl(&opened, number, UserPtr::from_addr(argument)) {
        Ok(value) => value as c_long,
        Err(error) => error.to_errno() as c_long,
    }
}

/// Refuses the ioctls of 32-bit processes: they may have got the file from another process.
///
/// # Safety
///
/// The VFS calls it.
unsafe extern "C" fn compat_ioctl(
    _file: *mut bindings::file,
    _number: c_uint,
    _argument: c_ulong,
) -> c_long {
    not_supported().to_errno() as c_long
}
