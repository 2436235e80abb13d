// SPDX-License-Identifier: GPL-2.0-only

//! An open file, as the mmap hook and the VMA operations see it.

use super::mappings::Mappings;
use kernel::{
    bindings,
    prelude::*,
    sync::ArcBorrow, //
};

/// An open file of which processes map regions.
pub(crate) trait MappedFile: Sized + 'static {
    /// The device, for as long as the driver is bound to it.
    type Device<'bound>;
    /// The things that the file owns and shows.
    type Objects;

    /// Returns the mappings of the file.
    fn mappings(&self) -> &Mappings;

    /// Calls `f` with the bound device and the file's objects.
    ///
    /// Revocation must wait until `f` has returned. Otherwise it could miss pages that `f` maps.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device is gone; the errors of `f`.
    fn with_objects<R>(
        &self,
        f: impl FnOnce(&Self::Device<'_>, &mut Self::Objects) -> Result<R>,
    ) -> Result<R>;

    /// Borrows the file that the kernel knows as `file`.
    ///
    /// # Safety
    ///
    /// The driver has opened `file` as one of this type, and it is not released while the result
    /// lives.
    unsafe fn borrow<'a>(file: *mut bindings::file) -> ArcBorrow<'a, Self>;
}
