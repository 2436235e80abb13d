// SPDX-License-Identifier: GPL-2.0-only

//! The edge of the layer: the trait that a driver implements.

use super::{
    file::OpenFile,
    gate::HasDevice,
    map::Entry,
    series::ModuleMetadata, //
};
use kernel::{
    bindings,
    fs,
    prelude::*,
    sync::{
        poll::PollTable,
        Arc, //
    },
    uaccess::UserPtr, //
};

/// A file that is being opened.
pub(crate) struct Opening<'a, 'bound, D: Driver> {
    /// The device, which stays bound meanwhile.
    pub(crate) device: &'a D::Device<'bound>,
    /// The part that all files of the device share.
    pub(crate) shared: &'a D::Shared,
    /// The files of the device that are open: none comes or goes meanwhile.
    pub(crate) others: &'a [Arc<OpenFile<D>>],
    /// The file itself.
    pub(crate) file: &'a fs::File,
}

/// A driver with a node that processes open, and through which they map memory.
///
/// The calls of one file run side by side, and beside the end of the binding.
pub(crate) trait Driver: HasDevice {
    /// The module of the driver, which stays loaded while a file is open: `crate::LocalModule`.
    type Module: ModuleMetadata;
    /// The part of a device that all its files share. Outlives the binding.
    type Shared: Send + Sync;
    /// The part of an open file that stays until it is released.
    type File: Send + Sync;
    /// The objects of the device that an open file owns, and shows to processes. The end of the
    /// binding takes them out of the file.
    type Objects: Default + Send + Unpin;

    /// Name of the node in `/dev` and of its folder in debugfs, without the number at its end.
    const NODE: &'static str;
    /// Every kind of mapping of a file.
    const KINDS: &'static [Entry<OpenFile<Self>>];

    /// Returns both parts of a file that is being opened. Called inside the gate.
    ///
    /// # Errors
    ///
    /// Any error is that of `open` for the process.
    fn open(opening: &Opening<'_, '_, Self>) -> Result<(Self::File, Self::Objects)>;

    /// Carries out an ioctl.
    ///
    /// # Errors
    ///
    /// `ENOTTY` for an unknown number; any other error is that of the call.
    fn ioctl(file: &OpenFile<Self>, number: u32, argument: UserPtr) -> Result<isize>;

    /// Returns the events of `poll` for which a file is ready, after it has registered for their
    /// change. Without this, a file is ready until the device goes.
    fn poll(opened: &OpenFile<Self>, _file: &fs::File, _table: PollTable<'_>) -> u32 {
        let ready = opened
            .gate()
            .with(|_| Ok(bindings::POLLIN | bindings::POLLOUT));
        ready.unwrap_or(bindings::POLLERR | bindings::POLLHUP)
    }

    /// Gives the objects of a released file back to a device that is still bound. No process maps
    /// them any more. Called inside the gate.
    fn release(_device: &Self::Device<'_>, _shared: &Self::Shared, objects: Self::Objects) {
        drop(objects);
    }

    /// Wakes all threads that sleep outside of the gate. It is closed, so they find the device gone
    /// when they look.
    fn dismiss(_shared: &Self::Shared) {}

    /// Stops the DMA of a device, whose objects are freed right after that. Neither a call nor a
    /// process reaches the device any more.
    fn quiesce(_device: &Self::Device<'_>) {}

    /// Ends the use of a device: first stops its DMA, then frees the objects, which `objects` takes
    /// out of the files one by one. Only a driver whose device may fail to stop has one of its own.
    fn end(device: &Self::Device<'_>, objects: &mut dyn Iterator<Item = Self::Objects>) {
        Self::quiesce(device);
        objects.for_each(drop);
    }

    /// Drops a released file, of which this is the last reference. For modules that are broken on
    /// purpose.
    #[cfg(sabotage)]
    fn drop_file(file: Arc<OpenFile<Self>>) {
        drop(file);
    }
}
