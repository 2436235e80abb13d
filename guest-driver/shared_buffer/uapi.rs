// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT

//! The interface between a process and the driver of shared buffers. The driver and programs
//! compile this file by path.

use core::mem::size_of;
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Makes a buffer: a [`Create`].
pub const CREATE: u32 = ioctl::<Create>(READ | WRITE, 0);
/// Takes a buffer away, also out of all mappings: a [`Destroy`].
pub const DESTROY: u32 = ioctl::<Destroy>(WRITE, 1);

/// Largest buffer in bytes.
pub const MAX_SIZE: u64 = 4 << 20;
/// Most buffers of one open file.
pub const MAX_BUFFERS: usize = 16;

/// [`Create::kind`]: physically contiguous memory.
pub const CONTIGUOUS: u32 = 1;
/// [`Create::kind`]: memory of vmalloc, which is always cached.
pub const VMALLOC: u32 = 2;

/// [`Create::policy`]: as any memory.
pub const CACHED: u32 = 0;
/// [`Create::policy`]: writes may be gathered, reads are not cached.
pub const WRITE_COMBINING: u32 = 1;

/// Argument of [`CREATE`].
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Create {
    /// In: bytes, at most [`MAX_SIZE`]. Out: the same in whole pages.
    pub size: u64,
    /// In: [`CONTIGUOUS`] or [`VMALLOC`].
    pub kind: u32,
    /// In: [`CACHED`] or [`WRITE_COMBINING`].
    pub policy: u32,
    /// Out: mmap offset of the buffer's first byte.
    pub offset: u64,
}

/// Argument of [`DESTROY`].
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Destroy {
    /// In: [`Create::offset`] of the buffer.
    pub offset: u64,
}

const WRITE: u32 = 1;
const READ: u32 = 2;

/// Returns the number of an ioctl, as `_IOC` of the kernel does.
const fn ioctl<T>(direction: u32, number: u32) -> u32 {
    direction << 30 | (size_of::<T>() as u32) << 16 | 0xbb << 8 | number
}
