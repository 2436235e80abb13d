// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Descriptors, completions and the arithmetic of ring indices (data sheet 6 and 7). Shared with
//! the kernel module.
//!
//! The size of a ring is a power of two. Heads and tails count all entries that ever passed, modulo
//! 2^32; [`slot`] turns such a count into a slot of the ring. The consumer owns the entries from
//! head to tail, the producer all others. Storing the tail hands entries over, storing the head
//! hands them back.

use core::mem::{offset_of, size_of};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Smallest size of a ring, in entries (data sheet 13).
pub const MIN_ENTRIES: u32 = 2;
/// Largest size of a ring, in entries (data sheet 13).
pub const MAX_ENTRIES: u32 = 4096;
/// Largest length of a descriptor, in bytes (data sheet 13).
pub const MAX_LENGTH: u32 = 16 << 20;

/// A request to the device, in the submission ring (data sheet 7).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Descriptor {
    /// The operation: an [`Opcode`].
    pub opcode: u16,
    /// Must be 0.
    pub flags: u16,
    /// Number of the driver side's choice, which comes back in the completion. The device does not
    /// look at it.
    pub tag: u32,
    /// Bytes to work on, from 1 to the device's limit; 0 for [`Opcode::NOP`].
    pub length: u32,
    /// Window that the operation reads; 0 if it reads none.
    pub source_window: u16,
    /// Window that the operation writes; 0 if it writes none.
    pub destination_window: u16,
    /// Offset of the first byte in the source window.
    pub source_offset: u64,
    /// Offset of the first byte in the destination window.
    pub destination_offset: u64,
    /// [`Opcode::FILL`]: eight bytes, repeated. [`Opcode::PATTERN`] and [`Opcode::VERIFY`]: the
    /// seed. [`Opcode::CRC32C`]: checksum of the bytes before, 0 to begin with. Others: 0.
    pub operand: u64,
    /// Must be 0.
    pub reserved: [u64; 3],
}
const _: () = assert!(size_of::<Descriptor>() == 64);
/// Bytes of a descriptor that its inline copy has: all but those that must be 0.
pub const INLINE_LENGTH: usize = 40;
const _: () = assert!(offset_of!(Descriptor, reserved) == INLINE_LENGTH);

/// The device's answer to a [`Descriptor`], in the completion ring (data sheet 7).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Completion {
    /// Tag of the descriptor.
    pub tag: u32,
    /// Outcome: a [`Status`].
    pub status: u16,
    /// Always 0.
    pub reserved: u16,
    /// Result of operations that have one; 0 for others.
    pub result: u64,
}
const _: () = assert!(size_of::<Completion>() == 16);

/// Operation that a [`Descriptor`] asks for. Any value can arrive; the constants are those with a
/// meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opcode(pub u16);

impl Opcode {
    /// Completes, and does nothing else.
    pub const NOP: Self = Self(0);
    /// Copies from the source to the destination window, as `memmove` does within one window.
    pub const COPY: Self = Self(1);
    /// Fills the destination with the operand, byte 0 of it at the first byte.
    pub const FILL: Self = Self(2);
    /// Fills the destination with the pattern (`pattern.rs`) that the operand seeds.
    pub const PATTERN: Self = Self(3);

    /// Compares the source with the pattern that the operand seeds. The result is the number of
    /// bytes that agree before the first that differs.
    pub const VERIFY: Self = Self(4);
    /// Computes the CRC-32C (Castagnoli, as in iSCSI, RFC 3720) of the source. The result is the
    /// checksum.
    pub const CRC32C: Self = Self(5);

    /// All opcodes with a meaning, with their names in the data sheet.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::NOP, "NOP"),
        (Self::COPY, "COPY"),
        (Self::FILL, "FILL"),
        (Self::PATTERN, "PATTERN"),
        (Self::VERIFY, "VERIFY"),
        (Self::CRC32C, "CRC32C"),
    ];
}

/// Outcome of a descriptor (data sheet 8). Any value can arrive; the constants are those with a
/// meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u16);

impl Status {
    /// Carried out.
    pub const OK: Self = Self(0);
    /// The opcode has no meaning. Nothing was written.
    pub const BAD_OPCODE: Self = Self(1);
    /// A window is not open, or is of another domain than the queue. Nothing was written.
    pub const BAD_WINDOW: Self = Self(2);
    /// Offset and length leave the window. Nothing was written.
    pub const OUT_OF_BOUNDS: Self = Self(3);
    /// The source window may not be read. Nothing was written.
    pub const NOT_READABLE: Self = Self(4);
    /// The destination window may not be written. Nothing was written.
    pub const NOT_WRITABLE: Self = Self(5);
    /// The length is 0 or over the limit. Nothing was written.
    pub const BAD_LENGTH: Self = Self(6);
    /// A field that must be 0 is not, or the operation does not use a field that is not 0. Nothing
    /// was written.
    pub const RESERVED_FIELD: Self = Self(7);
    /// Memory of a window cannot be reached, or not in that direction. Nothing was written.
    pub const DMA_FAULT: Self = Self(8);
    /// The device broke the operation off. Any part of the destination may have been written.
    pub const ABORTED: Self = Self(9);
    /// VERIFY found bytes that differ. This is no refusal: the device logs nothing.
    pub const MISMATCH: Self = Self(10);

    /// All statuses with a meaning, with their names in the data sheet.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::OK, "OK"),
        (Self::BAD_OPCODE, "BAD_OPCODE"),
        (Self::BAD_WINDOW, "BAD_WINDOW"),
        (Self::OUT_OF_BOUNDS, "OUT_OF_BOUNDS"),
        (Self::NOT_READABLE, "NOT_READABLE"),
        (Self::NOT_WRITABLE, "NOT_WRITABLE"),
        (Self::BAD_LENGTH, "BAD_LENGTH"),
        (Self::RESERVED_FIELD, "RESERVED_FIELD"),
        (Self::DMA_FAULT, "DMA_FAULT"),
        (Self::ABORTED, "ABORTED"),
        (Self::MISMATCH, "MISMATCH"),
    ];
}

/// Checks that a ring may have this many entries.
pub const fn entries_valid(entries: u32) -> bool {
    entries.is_power_of_two() && entries >= MIN_ENTRIES && entries <= MAX_ENTRIES
}

/// Returns the number of entries from `head` up to `tail`. More than the ring has means that an
/// index is wrong.
pub const fn distance(head: u32, tail: u32) -> u32 {
    // Indices pass 2^32 (data sheet 6). A plain difference would be negative there.
    tail.wrapping_sub(head)
}

/// Returns the slot of the entry with number `index` in a ring of `entries`, a power of two.
pub const fn slot(index: u32, entries: u32) -> u32 {
    // The size divides 2^32, so slots stay in step when the index passes 2^32.
    index & (entries - 1)
}
