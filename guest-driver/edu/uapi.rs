// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT

//! The interface between a process and the driver of QEMU's device `edu`. The driver and programs
//! compile this file by path.

use core::mem::size_of;
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Starts a copy between the DMA buffer and the memory in the device: a [`StartCopy`].
pub const COPY: u32 = ioctl::<StartCopy>(WRITE, 0);
/// Waits for interrupts of the device: a [`Wait`].
pub const WAIT: u32 = ioctl::<Wait>(READ | WRITE, 1);

/// mmap offset of the registers: one page, read-only, uncached.
pub const REGISTERS: u64 = 1 << 56;
/// mmap offset of the DMA buffer: [`BUFFER_SIZE`] bytes, which all open files share.
pub const BUFFER: u64 = 2 << 56;

/// Bytes of the DMA buffer, and of the memory in the device.
pub const BUFFER_SIZE: usize = 4096;

/// Offset in the registers: 0x010000ed, of which the upper half is a version.
pub const IDENTIFICATION: usize = 0x00;
/// Offset in the registers: the bytes of the last copy.
pub const LENGTH: usize = 0x90;

/// [`StartCopy::direction`]: the device reads the DMA buffer.
pub const TO_DEVICE: u32 = 0;
/// [`StartCopy::direction`]: the device writes the DMA buffer.
pub const FROM_DEVICE: u32 = 1;

/// Argument of [`COPY`]. Fails with `EBUSY` while the device copies.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StartCopy {
    /// In: [`TO_DEVICE`] or [`FROM_DEVICE`].
    pub direction: u32,
    /// In: bytes, at least 1.
    pub length: u32,
    /// In: offset of the first one in the DMA buffer.
    pub buffer_offset: u32,
    /// In: offset of the first one in the device's memory.
    pub device_offset: u32,
}

/// Argument of [`WAIT`].
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Wait {
    /// In: return when the driver has handled so many interrupts since it was bound. Out: how many
    /// it has handled.
    pub interrupts: u64,
    /// In: the longest time to wait, in milliseconds. Then the call fails with `ETIMEDOUT`.
    pub milliseconds: u32,
    /// In: 0. Out: 0, or after `EINTR` a mark of when the call began. A call with that mark, and
    /// else the same argument, has the time that is left.
    pub began: u32,
}

const WRITE: u32 = 1;
const READ: u32 = 2;

/// Returns the number of an ioctl, as `_IOC` of the kernel does.
const fn ioctl<T>(direction: u32, number: u32) -> u32 {
    direction << 30 | (size_of::<T>() as u32) << 16 | 0xbc << 8 | number
}
