// SPDX-License-Identifier: GPL-2.0-only

//! A kind of mapping, which a driver implements for each kind of region that its files have.

use super::{
    mappable::Mappable,
    mapped_file::MappedFile,
    setup::Fork, //
};
use kernel::prelude::*;

/// The device of the files that have kind `K`.
pub(crate) type DeviceOf<'bound, K> = <<K as Kind>::File as MappedFile>::Device<'bound>;
/// The objects of the files that have kind `K`.
pub(crate) type ObjectsOf<K> = <<K as Kind>::File as MappedFile>::Objects;

/// A kind of mapping: a type without a value.
///
/// All calls but [`check`](Kind::check) come inside [`MappedFile::with_objects`], so device and
/// objects stay meanwhile.
pub(crate) trait Kind: Sized {
    /// The files that have such regions.
    type File: MappedFile;
    /// The memory that is mapped.
    type Memory<'a>: Mappable;
    /// Its number in mmap offsets, from 1 on. No two kinds of a driver have the same.
    const NUMBER: u8;
    /// As debugfs names it.
    const NAME: &'static str;
    /// Whether a process may write what it maps. If not, it cannot get the right later either.
    const WRITABLE: bool = true;
    /// Whether a forked child gets the mapping too.
    const FORK: Fork;
    /// Number of regions, whose indices count from 0. Without this, [`memory`](Kind::memory)
    /// refuses an index that means nothing.
    const COUNT: u32 = 1 << 16;

    /// Checks whether the calling process may map from byte `offset` of this kind on at all.
    ///
    /// # Errors
    ///
    /// `EPERM` if not.
    fn check(_offset: u64) -> Result {
        Ok(())
    }

    /// Returns the memory of the region with this index.
    ///
    /// # Errors
    ///
    /// `EPERM` if the region is not this file's, `ENXIO` if the device has none with this index.
    fn memory<'a>(
        device: &'a DeviceOf<'_, Self>,
        objects: &'a ObjectsOf<Self>,
        index: u16,
    ) -> Result<Self::Memory<'a>>;

    /// Checks whether a debugger may reach the memory now. A kind of trapped registers refuses:
    /// reading one may do something in the device.
    ///
    /// # Errors
    ///
    /// Any error gives the debugger `EIO`.
    fn check_debugger(_device: &DeviceOf<'_, Self>) -> Result {
        Ok(())
    }
}
