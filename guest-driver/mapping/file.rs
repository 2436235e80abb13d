// SPDX-License-Identifier: GPL-2.0-only

//! An open file of a device's node, and all that are open.

use super::{
    driver::{
        Driver,
        Opening, //
    },
    gate::Gate,
    mapped_file::MappedFile,
    mappings::Mappings, //
};
use kernel::{
    bindings,
    fs,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow,
        Mutex, //
    },
    task::Pid,
    types::ForeignOwnable, //
};

/// The open files of a device, and the part that they share. Outlives the binding of driver and
/// device: each open file holds it.
#[pin_data]
pub(crate) struct Files<D: Driver> {
    gate: Arc<Gate<D>>,
    shared: D::Shared,
    /// Taken before anything of a file, never under `mmap_lock`.
    #[pin]
    pub(super) open: Mutex<KVec<Arc<OpenFile<D>>>>,
}

impl<D: Driver> Files<D> {
    /// Returns the files of a device that is not there yet, so none.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(shared: D::Shared) -> Result<Arc<Self>> {
        Self::behind(Arc::pin_init(Gate::new(), GFP_KERNEL)?, shared)
    }

    /// As [`Files::new`], with a new gate that `shared` knows too.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn behind(gate: Arc<Gate<D>>, shared: D::Shared) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                gate,
                shared,
                open <- new_mutex!(KVec::new()),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the way to the bound device.
    pub(crate) fn gate(&self) -> &Arc<Gate<D>> {
        &self.gate
    }

    /// Returns the part that the files share.
    pub(crate) fn shared(&self) -> &D::Shared {
        &self.shared
    }
}

/// An open file of a device's node.
#[pin_data]
pub(crate) struct OpenFile<D: Driver> {
    files: Arc<Files<D>>,
    own: D::File,
    /// Process that opened it, for people who look at debugfs.
    opener: Pid,
    /// Taken inside `mmap_lock`, so never held across a copy from or to the process.
    #[pin]
    objects: Mutex<D::Objects>,
    /// Its mappings, which are revoked when the device goes.
    #[pin]
    mappings: Mappings,
}

impl<D: Driver> OpenFile<D> {
    /// Opens a file, and adds it to the list.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `ENODEV` if the device is gone; the errors of [`Driver::open`].
    ///
    /// # Safety
    ///
    /// [`OpenFile::release`] must be called before `file` is released, whatever happens.
    pub(super) unsafe fn open(files: &Arc<Files<D>>, file: &fs::File) -> Result<Arc<Self>> {
        let mut open = files.open.lock();
        let (own, owned) = files.gate.with(|device| {
            D::open(&Opening {
                device,
                shared: &files.shared,
                others: &open,
                file,
            })
        })?;
        // SAFETY: Only the kernel's calls for the file, and callers that find it in the list, use
        // the mappings. The caller promises to end both with `release`, before `file` is released.
        let mappings = unsafe { Mappings::new(file) };
        let opened = Arc::pin_init(
            try_pin_init!(Self {
                files: files.clone(),
                own,
                opener: current!().group_leader().pid(),
                objects <- new_mutex!(owned),
                mappings <- mappings,
            }),
            GFP_KERNEL,
        )?;
        open.push(opened.clone(), GFP_KERNEL)?;
        Ok(opened)
    }

    /// Returns the part of this file that stays.
    pub(crate) fn own(&self) -> &D::File {
        &self.own
    }

    /// Returns the part that it shares with the other files of its device.
    pub(crate) fn shared(&self) -> &D::Shared {
        &self.files.shared
    }

    /// Returns the way to the bound device.
    pub(crate) fn gate(&self) -> &Arc<Gate<D>> {
        &self.files.gate
    }

    /// Calls `f` with the file's objects. For callers that are inside the gate: otherwise the end
    /// of the binding may have taken them out.
    ///
    /// `f` must not copy from or to a process: a page fault of that copy could wait for this lock.
    pub(crate) fn lock_objects<R>(&self, f: impl FnOnce(&mut D::Objects) -> R) -> R {
        f(&mut self.objects.lock())
    }

    /// Returns the process that opened it.
    pub(super) fn opener(&self) -> Pid {
        self.opener
    }

    /// Takes the objects that the file owns out of it.
    pub(super) fn take_objects(&self) -> D::Objects {
        core::mem::take(&mut *self.objects.lock())
    }

    /// Gives the objects back to the device, and removes the file from the list.
    pub(super) fn release(self: &Arc<Self>) {
        // If the device goes, this is left to the end of the binding, for which the file must stay
        // in the list.
        let _ = self.files.gate.with(|device| {
            D::release(device, &self.files.shared, self.take_objects());
            Ok(())
        });
        self.files
            .open
            .lock()
            .retain(|other| !Arc::ptr_eq(other, self));
    }
}

impl<D: Driver> MappedFile for OpenFile<D> {
    type Device<'bound> = D::Device<'bound>;
    type Objects = D::Objects;

    fn mappings(&self) -> &Mappings {
        &self.mappings
    }

    fn with_objects<R>(
        &self,
        f: impl FnOnce(&D::Device<'_>, &mut D::Objects) -> Result<R>,
    ) -> Result<R> {
        let gate = &self.files.gate;
        gate.with(|device| f(device, &mut self.objects.lock()))
    }

    unsafe fn borrow<'a>(file: *mut bindings::file) -> ArcBorrow<'a, Self> {
        // SAFETY: As the caller promises, the node's `open` put the pointer there, and only its
        // `release` takes it out.
        unsafe { <Arc<Self> as ForeignOwnable>::borrow((*file).private_data) }
    }
}
