// SPDX-License-Identifier: GPL-2.0-only

//! The node of a device in `/dev`.

use super::{
    driver::Driver,
    file::Files,
    file_operations::FileOperations,
    listing::Listing, //
};
use core::ptr;
use kernel::{
    bindings,
    container_of,
    debugfs::Dir,
    device::{
        self,
        Bound, //
    },
    error::to_result,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc, //
    },
    types::Opaque, //
};

/// The node of a device. While it is there, files can be opened.
///
/// # Invariants
///
/// `misc` is registered, under `name`.
#[pin_data(PinnedDrop)]
pub(crate) struct Node<D: Driver> {
    #[pin]
    misc: Opaque<bindings::miscdevice>,
    #[pin]
    listing: Listing<D>,
    folder: Dir,
    name: CString,
    _number: Number,
    files: Arc<Files<D>>,
}

// SAFETY: The misc core locks its list, so any thread may deregister `misc`. The other fields are
// `Send`.
unsafe impl<D: Driver> Send for Node<D> {}
// SAFETY: A shared reference gives access to `misc` only to the misc core, which locks. The other
// fields are `Sync`.
unsafe impl<D: Driver> Sync for Node<D> {}

impl<D: Driver> Node<D> {
    /// Registers [`Driver::NODE`] with the first number that is free, for the files of a device
    /// below `parent`.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if all numbers are taken; the errors of the misc core.
    pub(crate) fn register(
        parent: &device::Device<Bound>,
        files: Arc<Files<D>>,
    ) -> Result<impl PinInit<Self, Error> + use<'_, D>> {
        let number = Number::take()?;
        let name = CString::try_from_fmt(fmt!("{}{}", D::NODE, number.0))?;
        let misc = bindings::miscdevice {
            minor: bindings::MISC_DYNAMIC_MINOR as c_int,
            name: name.as_char_ptr(),
            fops: FileOperations::<D>::TABLE,
            // CAST: `device::Device` is a transparent wrapper of `struct device`.
            parent: ptr::from_ref(parent).cast_mut().cast(),
            ..pin_init::zeroed()
        };
        let folder = Dir::new(&name);
        Ok(try_pin_init!(Self {
            listing <- Listing::new(&folder, files.clone()),
            folder,
            name,
            _number: number,
            files,
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

    /// Returns its folder in debugfs, to which the driver may add files. They go with the folder.
    pub(crate) fn folder(&self) -> &Dir {
        &self.folder
    }

    /// Returns the files of the device.
    pub(super) fn files(&self) -> &Arc<Files<D>> {
        &self.files
    }

    /// Returns the node that `misc` belongs to.
    ///
    /// # Safety
    ///
    /// `misc` must be that of a `Node<D>`, which is there while the result lives.
    pub(super) unsafe fn of<'a>(misc: *mut c_void) -> &'a Self {
        let misc = misc.cast::<Opaque<bindings::miscdevice>>();
        // SAFETY: The caller promises that this is the field of a node, and that the node is there.
        unsafe { &*container_of!(misc, Self, misc) }
    }
}

#[pinned_drop]
impl<D: Driver> PinnedDrop for Node<D> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants `misc` is registered. The misc core waits for each open
        // that is under way, so none uses the node after this.
        unsafe { bindings::misc_deregister(self.misc.get()) };
    }
}

/// Number of a node. Given back when dropped.
struct Number(u32);

/// Bit n: number n is taken. Each module has its own.
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
