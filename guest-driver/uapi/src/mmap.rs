// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT

//! mmap offsets: which region, which one of its kind, where in it. Shared with the kernel module.
//!
//! Bits 62 to 56 of the offset are the kind, 55 to 40 the index, 39 to 0 the byte offset in the
//! region. Bit 63 is 0, because file offsets are signed. A process builds only [`PUBLIC_REGISTERS`] itself. Calls that make a region return its
//! offset, to which the process may add whole pages.

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

/// A decoded mmap offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// One of the `KIND_` constants, or a number without meaning.
    pub kind: u8,
    /// Which one of its kind.
    pub index: u16,
    /// Offset in the region, in bytes.
    pub offset: u64,
}

/// Returns the mmap offset of the start of a region.
pub const fn encode(kind: u8, index: u16) -> u64 {
    (kind as u64) << 56 | (index as u64) << 40
}

/// Takes an mmap offset apart.
pub const fn decode(offset: u64) -> Region {
    Region {
        kind: (offset >> 56) as u8,
        index: (offset >> 40) as u16,
        offset: offset & ((1 << 40) - 1),
    }
}
