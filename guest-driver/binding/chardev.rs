// SPDX-License-Identifier: GPL-2.0-only

//! The node in `/dev` and its file operations.
//!
//! The table of file operations is our own: Linux 7.3's `MiscDevice` takes fixed names only and
//! does not know the device that a driver is bound to.

use crate::{
    binding::debugfs::Folder,
    file::{
        ioctls,
        kinds::KINDS,
        shared::{
            free_domain,
            Shared, //
        },
        OpenFile, //
    },
    mmap::{
        self,
        mapped_file::MappedFile, //
    },
    LocalModule, //
};
use kernel::{
    bindings, container_of,
    debugfs::Dir,
    device::{
        self,
        Bound, //
    },
    error::to_result,
    fs::File,
    mm::virt::VmaNew,
    module::this_module,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        poll::PollTable,
        Arc, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    },
};

/// The node of a device. While it is there, files can be opened.
///
/// # Invariants
///
/// `misc` is registered, under `name`.
#[pin_data(PinnedDrop)]
pub(crate) struct Node {
    #[pin]
    misc: Opaque<bindings::miscdevice>,
    #[pin]
    debugfs: Folder,
    name: CString,
    _number: Number,
    shared: Arc<Shared>,
}

// SAFETY: The misc core locks its list, so any thread may deregister `misc`. The other fields are
// `Send`.
unsafe impl Send for Node {}
// SAFETY: A shared reference gives access to `misc` only to the misc core, which locks. The other
// fields are `Sync`.
unsafe impl Sync for Node {}

impl Node {
    /// Registers `/dev/ringbarN` with the first N that is free.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if all numbers are taken; the errors of the misc core.
    pub(crate) fn register(
        parent: &device::Device<Bound>,
        shared: Arc<Shared>,
    ) -> Result<impl PinInit<Self, Error> + use<'_>> {
        let number = Number::take()?;
        let name = CString::try_from_fmt(fmt!("ringbar{}", number.0))?;
        let misc = bindings::miscdevice {
            minor: bindings::MISC_DYNAMIC_MINOR as c_int,
            name: name.as_char_ptr(),
            fops: &raw const OPERATIONS.0,
            // CAST: `device::Device` is a transparent wrapper of `struct device`.
            parent: core::ptr::from_ref(parent).cast_mut().cast(),
            ..pin_init::zeroed()
        };
        let dir = Dir::new(&name);
        let for_debugfs = shared.clone();
        Ok(try_pin_init!(Self {
            debugfs <- Folder::new(dir, for_debugfs),
            name,
            _number: number,
            shared,
            misc <- Opaque::try_ffi_init(move |slot: *mut bindings::miscdevice| {
                // SAFETY: The slot is valid for a write, and holds no value yet.
                unsafe { slot.write(misc) };
                // SAFETY: It was just filled in. It is pinned, its name and operations outlive it,
                // and it is deregistered when the node is dropped. Files opened from here on
                // find the other fields, which are there already.
                to_result(unsafe { bindings::misc_register(slot) })
            }),
        }))
    }

    /// Returns the name of the node in `/dev`.
    pub(crate) fn name(&self) -> &CStr {
        &self.name
    }
}

#[pinned_drop]
impl PinnedDrop for Node {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants `misc` is registered. The misc core waits for each open
        // that is under way, so none uses the node after this.
        unsafe { bindings::misc_deregister(self.misc.get()) };
    }
}

/// Number of a node. Given back when dropped.
struct Number(u32);

/// Bit n: number n is taken.
static NUMBERS: Atomic<u64> = Atomic::new(0);

impl Number {
    /// Takes the lowest free number.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if there is none.
    fn take() -> Result<Self> {
        loop {
            let taken = NUMBERS.load(Relaxed);
            let free = (!taken).trailing_zeros();
            if free == u64::BITS {
                return Err(ENOSPC);
            }
            if NUMBERS.cmpxchg(taken, taken | 1 << free, Full).is_ok() {
                return Ok(Self(free));
            }
        }
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        loop {
            let taken = NUMBERS.load(Relaxed);
            if NUMBERS.cmpxchg(taken, taken & !(1 << self.0), Full).is_ok() {
                return;
            }
        }
    }
}

struct Operations(bindings::file_operations);

// SAFETY: The table is a constant: the kernel only reads it.
unsafe impl Sync for Operations {}

static OPERATIONS: Operations = Operations(bindings::file_operations {
    owner: this_module::<LocalModule>().as_ptr(),
    open: Some(open),
    release: Some(release),
    mmap: Some(mmap_hook),
    poll: Some(poll),
    unlocked_ioctl: Some(ioctl),
    compat_ioctl: bindings::compat_ptr_ioctl,
    ..pin_init::zeroed()
});

/// # Safety
///
/// The misc core calls it, for a file that is being opened.
unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: By the safety section inode and file are those that are being opened, valid for the
    // call.
    let result = to_result(unsafe { bindings::nonseekable_open(inode, file) });
    // SAFETY: The file is valid for the call. The misc core has put its own pointer there, and
    // keeps the node registered meanwhile.
    let misc = unsafe { (*file).private_data }.cast::<Opaque<bindings::miscdevice>>();
    // SAFETY: Every misc device with these operations is the `misc` of a `Node`.
    let node = unsafe { &*container_of!(misc, Node, misc) };
    // SAFETY: The file is valid for the call, and only this call has it yet, so no other thread
    // holds its position lock.
    let opened = result.and_then(|()| open_file(node, unsafe { File::from_raw_file(file) }));
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

fn open_file(node: &Node, file: &File) -> Result<Arc<OpenFile>> {
    let mut files = node.shared.files.lock();
    let domain = free_domain(&files);
    // SAFETY: Only files in the list have their mappings used, and `release` takes this one out.
    let opened = unsafe { OpenFile::new(node.shared.clone(), domain, file) }?;
    files.push(opened.clone(), GFP_KERNEL)?;
    Ok(opened)
}

/// # Safety
///
/// The VFS calls it, as the last call for a file that [`open`] opened.
unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: `open` put the pointer there, and this is the last call for the file, so no borrow of
    // it is left.
    let opened = unsafe { <Arc<OpenFile> as ForeignOwnable>::from_foreign((*file).private_data) };
    opened.release();
    opened.shared().remove(&opened);
    #[cfg(ringbar_sabotage)]
    crate::sabotage::at_release(opened);
    0
}

/// # Safety
///
/// The VFS calls it, for a file that [`open`] opened and a VMA that is being made.
unsafe extern "C" fn mmap_hook(
    file: *mut bindings::file,
    vma: *mut bindings::vm_area_struct,
) -> c_int {
    // SAFETY: `open` has opened the file, and the VFS does not release it during a call for it.
    let opened = unsafe { OpenFile::borrow(file) };
    // SAFETY: The VMA is being made, and only this call has it meanwhile.
    match mmap::map(&KINDS, &*opened, unsafe { VmaNew::from_raw(vma) }) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// # Safety
///
/// The VFS calls it, for a file that [`open`] opened and a table that is valid or null.
unsafe extern "C" fn poll(
    file: *mut bindings::file,
    table: *mut bindings::poll_table_struct,
) -> bindings::__poll_t {
    // SAFETY: `open` has opened the file, and the VFS does not release it during a call for it.
    let opened = unsafe { OpenFile::borrow(file) };
    // SAFETY: The file is valid for the call. The kernel locks the position of regular files and
    // folders only, so no thread holds such a lock.
    let file = unsafe { File::from_raw_file(file) };
    // SAFETY: By the safety section the table is valid or null.
    opened.poll(file, unsafe { PollTable::from_raw(table) })
}

/// # Safety
///
/// The VFS calls it, for a file that [`open`] opened.
unsafe extern "C" fn ioctl(file: *mut bindings::file, number: c_uint, argument: c_ulong) -> c_long {
    // SAFETY: `open` has opened the file, and the VFS does not release it during a call for it.
    let opened = unsafe { OpenFile::borrow(file) };
    match ioctls::ioctl(&opened, number, argument) {
        Ok(value) => value as c_long,
        Err(error) => error.to_errno() as c_long,
    }
}
