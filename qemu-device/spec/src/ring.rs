// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Descriptors, completions and the arithmetic of ring indices. Shared with the kernel module.
//!
//! A ring has a power of two of entries. Heads and tails count entries ever passed, modulo 2^32;
//! [`slot`] turns one into a place. The producer owns the entries from tail to head plus the size,
//! the consumer those from head to tail; writing the tail hands entries over, writing the head
//! hands them back.

use core::mem::{offset_of, size_of};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Fewest entries of a ring.
pub const MIN_ENTRIES: u32 = 2;
/// Most entries of a ring.
pub const MAX_ENTRIES: u32 = 4096;
/// Largest length of a descriptor, in bytes.
pub const MAX_LENGTH: u32 = 16 << 20;

/// A request to the device, in the submission ring.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Descriptor {
    /// What to do: an [`Opcode`].
    pub opcode: u16,
    /// Must be 0.
    pub flags: u16,
    /// Comes back in the completion; the device does not look at it.
    pub tag: u32,
    /// Bytes to work on, from 1 to the device's limit; 0 for [`Opcode::NOP`].
    pub length: u32,
    /// Window that is read; 0 if the operation reads none.
    pub source_window: u16,
    /// Window that is written; 0 if the operation writes none.
    pub destination_window: u16,
    /// Offset of the first byte in the source window.
    pub source_offset: u64,
    /// Offset of the first byte in the destination window.
    pub destination_offset: u64,
    /// [`Opcode::FILL`]: eight bytes, repeated. [`Opcode::PATTERN`] and [`Opcode::VERIFY`]: the
    /// seed. [`Opcode::CRC32C`]: checksum of what comes before, 0 to begin with. Else 0.
    pub operand: u64,
    /// Must be 0.
    pub reserved: [u64; 3],
}
const _: () = assert!(size_of::<Descriptor>() == 64);
/// Bytes of a descriptor that its inline copy has: all but those that must be 0.
pub const INLINE_LENGTH: usize = 40;
const _: () = assert!(offset_of!(Descriptor, reserved) == INLINE_LENGTH);

/// The device's answer to a [`Descriptor`], in the completion ring.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Completion {
    /// Tag of the descriptor.
    pub tag: u32,
    /// How it went: a [`Status`].
    pub status: u16,
    /// 0.
    pub reserved: u16,
    /// Result of operations that have one, else 0.
    pub result: u64,
}
const _: () = assert!(size_of::<Completion>() == 16);

/// What a [`Descriptor`] asks for. Any value can arrive; the constants are those with a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opcode(pub u16);

impl Opcode {
    /// Completes and does nothing else.
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

    /// All opcodes with a meaning, by name as the data sheet has it.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::NOP, "NOP"),
        (Self::COPY, "COPY"),
        (Self::FILL, "FILL"),
        (Self::PATTERN, "PATTERN"),
        (Self::VERIFY, "VERIFY"),
        (Self::CRC32C, "CRC32C"),
    ];
}

/// How a descriptor ended. Any value can arrive; the constants are those with a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u16);

impl Status {
    /// Carried out.
    pub const OK: Self = Self(0);
    /// The opcode has no meaning. Nothing was written.
    pub const BAD_OPCODE: Self = Self(1);
    /// A window is not open, or not this queue's. Nothing was written.
    pub const BAD_WINDOW: Self = Self(2);
    /// Offset and length leave the window. Nothing was written.
    pub const OUT_OF_BOUNDS: Self = Self(3);
    /// The source window may not be read. Nothing was written.
    pub const NOT_READABLE: Self = Self(4);
    /// The destination window may not be written. Nothing was written.
    pub const NOT_WRITABLE: Self = Self(5);
    /// The length is 0 or over the limit. Nothing was written.
    pub const BAD_LENGTH: Self = Self(6);
    /// A field that must be 0 is not. Nothing was written.
    pub const RESERVED_FIELD: Self = Self(7);
    /// Memory of a window cannot be reached. Nothing was written.
    pub const DMA_FAULT: Self = Self(8);
    /// The operation was broken off. Any part of the destination may have been written.
    pub const ABORTED: Self = Self(9);
    /// VERIFY found bytes that differ. No refusal: nothing is logged.
    pub const MISMATCH: Self = Self(10);

    /// All statuses with a meaning, by name as the data sheet has it.
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

/// Whether a ring may have this many entries.
pub const fn entries_valid(entries: u32) -> bool {
    entries.is_power_of_two() && entries >= MIN_ENTRIES && entries <= MAX_ENTRIES
}

/// Entries from `head` up to `tail`. More than the ring has means that an index is wrong.
pub const fn distance(head: u32, tail: u32) -> u32 {
    tail.wrapping_sub(head)
}

/// Place of the entry with number `index` in a ring of `entries`, a power of two.
pub const fn slot(index: u32, entries: u32) -> u32 {
    index & (entries - 1)
}
