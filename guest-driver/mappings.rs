// SPDX-License-Identifier: GPL-2.0-only

//! What it takes to revoke the mappings of an open file.
//!
//! A mapping that is populated in the mmap hook is entered into the file's list of mappings only
//! after the hook has returned: for a moment it has pages but cannot be found. So the hook writes
//! down the address space first, and whoever revokes takes its lock once, as a barrier: afterwards
//! every mapping made before the gate closed is in the list.

use kernel::{
    bindings,
    fs::File,
    mm::{
        Mm,
        MmWithUser, //
    },
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Mutex, //
    },
};

/// The address spaces that map an open file, and the list of its mappings.
///
/// # Invariants
///
/// `list` is the `f_mapping` of the file that owns this, and so valid as long as that is open.
#[pin_data]
pub(crate) struct Mappings {
    list: *mut bindings::address_space,
    #[pin]
    spaces: Mutex<KVec<ARef<Mm>>>,
}

// SAFETY: The list of mappings has locks of its own.
unsafe impl Send for Mappings {}
// SAFETY: As above.
unsafe impl Sync for Mappings {}

impl Mappings {
    /// No mappings yet.
    ///
    /// # Safety
    ///
    /// The value must not be used after `file` was released.
    pub(crate) unsafe fn new(file: &File) -> impl PinInit<Self> {
        // SAFETY: An open file has a valid inode and mapping for as long as it is open.
        let list = unsafe { (*file.as_ptr()).f_mapping };
        // INVARIANT: It is that of `file`, and the caller ends the use with the file.
        pin_init!(Self { list, spaces <- new_mutex!(KVec::new()) })
    }

    /// Writes down an address space that is about to map the file. Called in the mmap hook, before
    /// any page is there, inside the gate.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn remember(&self, space: &MmWithUser) -> Result {
        let mut spaces = self.spaces.lock();
        if !spaces
            .iter()
            .any(|known| core::ptr::eq(known.as_raw(), space.as_raw()))
        {
            let space: &Mm = space;
            spaces.push(space.into(), GFP_KERNEL)?;
        }
        Ok(())
    }

    /// Removes the pages of all mappings of the file: touching them gives SIGBUS from now on.
    ///
    /// Called when the gate is closed, so that nothing maps any more.
    pub(crate) fn revoke(&self) {
        // Not under the lock: the mmap hook takes it inside `mmap_lock`.
        let spaces = core::mem::take(&mut *self.spaces.lock());
        for space in &spaces {
            if let Some(space) = space.mmget_not_zero() {
                drop(space.mmap_read_lock());
            }
        }
        // SAFETY: By the type invariants the list is valid; the range is all of the file.
        unsafe { bindings::unmap_mapping_range(self.list, 0, 0, 1) };
    }
}
