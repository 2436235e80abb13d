// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT

//! mmap offsets of ringbar's regions. Shared with the kernel module.
//!
//! A process builds only [`PUBLIC_REGISTERS`] itself. Calls that make a region return its offset,
//! to which the process may add whole pages.

pub use super::offset::{decode, encode, Region};

/// Kind: the public registers. Index 0.
pub const KIND_PUBLIC_REGISTERS: u8 = 1;
/// Kind: a submission ring. Index: the queue.
pub const KIND_SUBMISSION_RING: u8 = 2;
/// Kind: a completion ring. Index: the queue.
pub const KIND_COMPLETION_RING: u8 = 3;
/// Kind: a DMA buffer. Index: its window.
pub const KIND_BUFFER: u8 = 4;
/// Kind: a range of device memory. Index: its window.
pub const KIND_DEVICE_MEMORY: u8 = 5;

/// Kind: the kick page of a queue. Index: the queue.
pub const KIND_KICK: u8 = 6;
/// Kind: the doorbell page of a queue. Index: the queue.
pub const KIND_DOORBELL: u8 = 7;
/// Kind: the status page of a queue, read-only. Index: the queue.
pub const KIND_STATUS: u8 = 8;
/// Kind: a range of the lazy part of the device memory. Index: its window.
pub const KIND_LAZY_DEVICE_MEMORY: u8 = 9;
/// Kind: physically contiguous memory. Index: its number.
pub const KIND_CONTIGUOUS: u8 = 10;
/// Kind: memory of vmalloc. Index: its number.
pub const KIND_VMALLOC: u8 = 11;

/// Where to map the public registers. Needs `CAP_SYS_RAWIO`.
pub const PUBLIC_REGISTERS: u64 = encode(KIND_PUBLIC_REGISTERS, 0);
