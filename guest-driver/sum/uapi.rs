// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT

//! The interface between a process and the driver of the example device `sum`. The driver and
//! programs compile this file by path.

use core::mem::size_of;
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Has the device add up bytes of the buffer, and waits for the sum: an [`AddUp`].
pub const ADD_UP: u32 = ioctl::<AddUp>(READ | WRITE, 0);

/// mmap offset of the registers: one page, read-only, uncached.
pub const REGISTERS: u64 = 1 << 56;
/// mmap offset of the open file's own buffer: [`BUFFER_SIZE`] bytes.
pub const BUFFER: u64 = 2 << 56;

/// Bytes of a buffer.
pub const BUFFER_SIZE: usize = 64 << 10;

/// Argument of [`ADD_UP`].
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct AddUp {
    /// In: offset of the first byte in the buffer.
    pub offset: u32,
    /// In: how many bytes.
    pub length: u32,
    /// Out: their sum, modulo 2^32.
    pub sum: u32,
    /// Must be 0.
    pub reserved: u32,
}

const WRITE: u32 = 1;
const READ: u32 = 2;

/// Returns the number of an ioctl, as `_IOC` of the kernel does.
const fn ioctl<T>(direction: u32, number: u32) -> u32 {
    direction << 30 | (size_of::<T>() as u32) << 16 | 0xbd << 8 | number
}
