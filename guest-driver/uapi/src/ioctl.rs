// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT

//! ioctl numbers and their arguments. Shared with the kernel module.
//!
//! All multi-byte fields have the byte order of the machine, as always between a process and its
//! kernel. Fields named `reserved` must be 0 on the way in and are 0 on the way out.

use core::mem::size_of;
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Type byte of all ioctls of this driver.
pub const TYPE: u32 = 0xba;

/// Reads identity and limits of the device into an [`Info`].
pub const INFO: u32 = read::<Info>(0);
/// Takes a queue: a [`CreateQueue`].
pub const CREATE_QUEUE: u32 = read_write::<CreateQueue>(1);
/// Makes a DMA buffer and a window on it: a [`CreateBuffer`].
pub const CREATE_BUFFER: u32 = read_write::<CreateBuffer>(2);
/// Takes a range of device memory and a window on it: a [`CreateDeviceMemory`].
pub const CREATE_DEVICE_MEMORY: u32 = read_write::<CreateDeviceMemory>(3);
/// Carries out descriptors on a queue of the kernel: an [`Execute`].
pub const EXECUTE: u32 = read_write::<Execute>(4);
/// Waits for completions: a [`Wait`].
pub const WAIT: u32 = read_write::<Wait>(5);
/// Makes memory of the kernel that can be mapped: a [`CreateMemory`].
pub const CREATE_MEMORY: u32 = read_write::<CreateMemory>(6);
/// Stops a queue and starts it again with the same rings: an [`Object`], the queue.
pub const RESET_QUEUE: u32 = write::<Object>(7);
/// Stops a queue and gives it back: an [`Object`], the queue.
pub const DESTROY_QUEUE: u32 = write::<Object>(8);
/// Closes all windows on a buffer or range of device memory and gives it back: an [`Object`], its
/// own window.
pub const DESTROY_BUFFER: u32 = write::<Object>(9);
/// Opens one more window, on parts of buffers or device memory: an [`OpenWindow`].
pub const OPEN_WINDOW: u32 = read_write::<OpenWindow>(10);
/// Closes a window that [`OPEN_WINDOW`] or [`OPEN_USER_WINDOW`] opened: an [`Object`], the window.
pub const CLOSE_WINDOW: u32 = write::<Object>(11);
/// Sets the eventfd that is signalled by interrupts of a queue: a [`SetEventFd`].
pub const SET_EVENTFD: u32 = write::<SetEventFd>(12);
/// Pins memory of the process and opens a window on it: an [`OpenUserWindow`].
pub const OPEN_USER_WINDOW: u32 = read_write::<OpenUserWindow>(13);
/// Moves bytes between memory of the process and a window, through memory of the kernel: a
/// [`Transfer`].
pub const TRANSFER: u32 = read_write::<Transfer>(14);

/// Answer to [`INFO`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Info {
    /// Major version of the device's interface.
    pub version_major: u16,
    /// Minor version of the device's interface.
    pub version_minor: u16,
    /// Interrupt vectors that the driver got.
    pub vectors: u32,
    /// Operations the device knows: bit n stands for opcode n.
    pub opcodes: u64,
    /// Size of the device memory in bytes.
    pub device_memory_size: u64,
    /// Queues the device has.
    pub queues: u32,
    /// Most entries of a ring.
    pub max_entries: u32,
    /// Largest length of a descriptor in bytes.
    pub max_length: u32,
    /// Largest buffer in bytes.
    pub max_buffer: u32,
}
const _: () = assert!(size_of::<Info>() == 40);

/// Argument of [`CREATE_QUEUE`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct CreateQueue {
    /// In: entries of the submission ring and of the completion ring, a power of two.
    pub entries: u32,
    /// Out: number of the queue.
    pub queue: u32,
    /// In: 0, or [`QUEUE_KERNEL`].
    pub flags: u32,
    /// 0.
    pub reserved: u32,
    /// Out: where to map the submission ring. This and the others are 0 for [`QUEUE_KERNEL`].
    pub submission_ring: u64,
    /// Out: where to map the completion ring, read-only.
    pub completion_ring: u64,
    /// Out: where to map the queue's kick page.
    pub kick: u64,
    /// Out: where to map the queue's doorbell page.
    pub doorbell: u64,
    /// Out: where to map the queue's status page, read-only.
    pub status: u64,
}
const _: () = assert!(size_of::<CreateQueue>() == 56);

/// Argument of [`CREATE_BUFFER`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct CreateBuffer {
    /// In: bytes wanted. Out: bytes got, whole pages.
    pub size: u64,
    /// Out: where to map the buffer.
    pub offset: u64,
    /// In: rights of descriptors, [`RIGHT_READ`], [`RIGHT_WRITE`] or both.
    pub rights: u32,
    /// Out: number of the window that shows the buffer to descriptors.
    pub window: u32,
}
const _: () = assert!(size_of::<CreateBuffer>() == 24);

/// Argument of [`CREATE_DEVICE_MEMORY`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct CreateDeviceMemory {
    /// In: bytes wanted. Out: bytes got, whole pages.
    pub size: u64,
    /// Out: where to map the range.
    pub offset: u64,
    /// In: rights of descriptors, [`RIGHT_READ`], [`RIGHT_WRITE`] or both.
    pub rights: u32,
    /// In: [`PART_WRITE_COMBINING`], [`PART_UNCACHED`] or [`PART_LAZY`].
    pub part: u32,
    /// Out: number of the window that shows the range to descriptors.
    pub window: u32,
    /// 0.
    pub reserved: u32,
}
const _: () = assert!(size_of::<CreateDeviceMemory>() == 32);

/// Argument of [`EXECUTE`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Execute {
    /// In: address of the descriptors, an array of the device's `Descriptor`.
    pub descriptors: u64,
    /// In: address that the completions go to, an array of the device's `Completion`.
    pub completions: u64,
    /// Number of the queue, one with [`QUEUE_KERNEL`].
    pub queue: u32,
    /// In: how many descriptors, any number. Out: how many were completed.
    pub count: u32,
    /// In: longest wait for them in milliseconds.
    pub timeout_ms: u32,
    /// In: 0 for a new call. Out: 0, or a mark of when the call began, if a signal ended it early.
    /// After `EINTR` nothing was done, and the rest of the argument is as it was. Without an error
    /// `count` were completed. A call with the mark goes on, with the rest, for the time that is
    /// left.
    pub began: u32,
}
const _: () = assert!(size_of::<Execute>() == 32);

/// Argument of [`WAIT`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Wait {
    /// Number of the queue.
    pub queue: u32,
    /// In: wait until this many completions were ever posted. Out: how many were. Modulo 2^32.
    pub completion_tail: u32,
    /// In: longest wait in milliseconds.
    pub timeout_ms: u32,
    /// In: 0 for a new call. Out: 0, or after `EINTR` a mark of when the call began. The rest of
    /// the argument is then as it was: a call with it waits for the time that is left.
    pub began: u32,
}
const _: () = assert!(size_of::<Wait>() == 16);

/// Argument of [`CREATE_MEMORY`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct CreateMemory {
    /// In: bytes wanted. Out: bytes got, whole pages.
    pub size: u64,
    /// Out: where to map the memory.
    pub offset: u64,
    /// In: [`MEMORY_CONTIGUOUS`] or [`MEMORY_VMALLOC`].
    pub kind: u32,
    /// In: how the processor caches it, a `POLICY_` constant. vmalloc memory is always cached.
    pub policy: u32,
}
const _: () = assert!(size_of::<CreateMemory>() == 24);

/// Argument of calls that name one thing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Object {
    /// Number of the queue or window.
    pub number: u32,
    /// 0.
    pub reserved: u32,
}
const _: () = assert!(size_of::<Object>() == 8);

/// Argument of [`OPEN_WINDOW`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct OpenWindow {
    /// In: address of the parts, an array of [`WindowPart`]; the window shows them in this order.
    pub parts: u64,
    /// In: how many, at most [`MAX_PARTS`]; 1 on device memory.
    pub count: u32,
    /// In: rights of descriptors, [`RIGHT_READ`], [`RIGHT_WRITE`] or both; no more than the
    /// buffers were made with.
    pub rights: u32,
    /// Out: number of the window.
    pub window: u32,
    /// 0.
    pub reserved: u32,
}
const _: () = assert!(size_of::<OpenWindow>() == 24);

/// A part of a window.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct WindowPart {
    /// Buffer or range of device memory, by its own window.
    pub buffer: u32,
    /// 0.
    pub reserved: u32,
    /// First byte in it.
    pub offset: u64,
    /// Bytes, not 0.
    pub length: u64,
}
const _: () = assert!(size_of::<WindowPart>() == 24);

/// Argument of [`OPEN_USER_WINDOW`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct OpenUserWindow {
    /// In: address of the first byte, any alignment.
    pub address: u64,
    /// In: bytes, at most [`MAX_USER_WINDOW`].
    pub length: u64,
    /// In: rights of descriptors, [`RIGHT_READ`], [`RIGHT_WRITE`] or both.
    pub rights: u32,
    /// Out: number of the window.
    pub window: u32,
}
const _: () = assert!(size_of::<OpenUserWindow>() == 24);

/// Argument of [`TRANSFER`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Transfer {
    /// In: address of the process's bytes.
    pub address: u64,
    /// In: first byte in the window.
    pub offset: u64,
    /// In: bytes. Out: how many were moved.
    pub length: u64,
    /// Number of the queue, one with [`QUEUE_KERNEL`].
    pub queue: u32,
    /// Number of the window.
    pub window: u32,
    /// In: [`TRANSFER_INTO_WINDOW`] or [`TRANSFER_OUT_OF_WINDOW`].
    pub direction: u32,
    /// In: longest wait in milliseconds.
    pub timeout_ms: u32,
    /// Out: how the device's last copy ended, a `Status`; if it is not 0, nothing comes after it.
    pub status: u32,
    /// In: 0 for a new call. Out: 0, or a mark of when the call began, if a signal ended it early.
    /// After `EINTR` nothing was done, and the rest of the argument is as it was. Without an error
    /// `length` bytes were moved. A call with the mark goes on, with the rest, for the time that is
    /// left.
    pub began: u32,
}
const _: () = assert!(size_of::<Transfer>() == 48);

/// Argument of [`SET_EVENTFD`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct SetEventFd {
    /// Number of the queue.
    pub queue: u32,
    /// The eventfd, or -1 for none.
    pub fd: i32,
}
const _: () = assert!(size_of::<SetEventFd>() == 8);

/// The rings are the kernel's: they cannot be mapped, and [`EXECUTE`] uses them.
pub const QUEUE_KERNEL: u32 = 1 << 0;
/// Most parts of a window.
pub const MAX_PARTS: u32 = 64;
/// Longest window on memory of a process in bytes.
pub const MAX_USER_WINDOW: u64 = 1 << 30;

/// Descriptors may read the window.
pub const RIGHT_READ: u32 = 1 << 0;
/// Descriptors may write the window.
pub const RIGHT_WRITE: u32 = 1 << 1;

/// From the process into the window.
pub const TRANSFER_INTO_WINDOW: u32 = 0;
/// Out of the window, to the process.
pub const TRANSFER_OUT_OF_WINDOW: u32 = 1;

/// The part of the device memory that is mapped write-combining.
pub const PART_WRITE_COMBINING: u32 = 0;
/// The part of the device memory that is mapped uncached.
pub const PART_UNCACHED: u32 = 1;
/// The part of the device memory that is mapped page by page, when it is touched.
pub const PART_LAZY: u32 = 2;

/// Physically contiguous memory.
pub const MEMORY_CONTIGUOUS: u32 = 0;
/// Memory of vmalloc, contiguous in the kernel's address space alone.
pub const MEMORY_VMALLOC: u32 = 1;

/// Cached as any memory.
pub const POLICY_CACHED: u32 = 0;
/// Writes may be gathered, nothing is cached.
pub const POLICY_WRITE_COMBINING: u32 = 1;
/// Every access reaches memory, in order.
pub const POLICY_UNCACHED: u32 = 2;

const fn read<T>(number: u32) -> u32 {
    encode(2, number, size_of::<T>())
}

const fn write<T>(number: u32) -> u32 {
    encode(1, number, size_of::<T>())
}

const fn read_write<T>(number: u32) -> u32 {
    encode(3, number, size_of::<T>())
}

/// The generic encoding (Linux `include/uapi/asm-generic/ioctl.h`): direction in bits 31 and 30,
/// size in 29 to 16, type in 15 to 8, number in 7 to 0.
const fn encode(direction: u32, number: u32, size: usize) -> u32 {
    direction << 30 | (size as u32) << 16 | TYPE << 8 | number
}
