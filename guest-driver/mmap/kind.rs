// SPDX-License-Identifier: GPL-2.0-only

//! A kind of mapping, which a driver implements for each kind of region that it has.

use super::{
    access::Access,
    mapped_file::MappedFile,
    setup::{
        Fresh,
        Populated,
        VmaSetup, //
    },
};
use kernel::{
    bindings,
    prelude::*, //
};

/// The device of the files that have kind `K`.
pub(crate) type DeviceOf<'bound, K> = <<K as Kind>::File as MappedFile>::Device<'bound>;
/// The objects of the files that have kind `K`.
pub(crate) type ObjectsOf<K> = <<K as Kind>::File as MappedFile>::Objects;

/// The part of a region that a mapping shows: whole pages inside the region.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    /// First byte.
    pub(crate) offset: usize,
    /// Bytes.
    pub(crate) length: usize,
}

/// A kind of mapping: a type without a value.
///
/// The mmap hook calls [`check`](Kind::check), [`size`](Kind::size) and
/// [`populate`](Kind::populate) in this order, the latter two inside [`MappedFile::with_objects`],
/// so device and objects stay meanwhile.
pub(crate) trait Kind: Sized {
    /// The files that have such regions.
    type File: MappedFile;
    /// Its number in mmap offsets: a `KIND_` constant of `interface::mmap`.
    const NUMBER: u8;
    /// As debugfs names it.
    const NAME: &'static str;
    /// Whether a process may write what it maps. If not, it cannot get the right later either.
    const WRITABLE: bool = true;

    /// Checks whether the calling process may map from byte `offset` of this kind on at all.
    ///
    /// # Errors
    ///
    /// `EPERM` if not.
    fn check(_offset: u64) -> Result {
        Ok(())
    }

    /// Returns the size of the region with this index, in bytes.
    ///
    /// # Errors
    ///
    /// `EPERM` if the region is not this file's, `ENXIO` if the device has none with this index.
    fn size(device: &DeviceOf<'_, Self>, objects: &ObjectsOf<Self>, index: u16) -> Result<usize>;

    /// Fills the VMA, or leaves it to [`FaultKind::fault`].
    ///
    /// # Errors
    ///
    /// `ENXIO` if the file has no such region; `ENOMEM`.
    fn populate(
        device: &DeviceOf<'_, Self>,
        objects: &ObjectsOf<Self>,
        index: u16,
        span: Span,
        setup: VmaSetup<'_, Fresh>,
    ) -> Result<Populated>;

    /// Carries out the access of a debugger to bytes from `offset` of the region on. Returns their
    /// number. Called inside [`MappedFile::with_objects`].
    ///
    /// Without this, the kind refuses: a trapped register does something when it is read, and
    /// counted pages the kernel reaches by itself.
    ///
    /// # Errors
    ///
    /// Any error gives the debugger `EIO`.
    fn access(
        _device: &DeviceOf<'_, Self>,
        _objects: &ObjectsOf<Self>,
        _index: u16,
        _offset: usize,
        _access: Access<'_>,
    ) -> Result<usize> {
        Err(EPERM)
    }
}

/// The memory that a fault handler maps.
pub(crate) enum Target {
    /// A bare page frame, by number. The kind populates by [`VmaSetup::frames`].
    Frame(usize),
    /// A page, which the mapping will hold. The kind populates by [`VmaSetup::pages`].
    Page(*mut bindings::page),
}

/// A kind that is mapped page by page, when a page is touched.
pub(crate) trait FaultKind: Kind {
    /// Returns the page at byte `offset` of the region, a multiple of the page size. Called inside
    /// [`MappedFile::with_objects`].
    ///
    /// # Errors
    ///
    /// Any error gives the process SIGBUS.
    fn fault(
        device: &DeviceOf<'_, Self>,
        objects: &ObjectsOf<Self>,
        index: u16,
        offset: usize,
    ) -> Result<Target>;
}
