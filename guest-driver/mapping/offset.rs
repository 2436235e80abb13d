// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT

//! mmap offsets: which kind of region, which one of its kind, where in it.
//!
//! Bits 62 to 56 of an offset are the kind, 55 to 40 the index, 39 to 0 the byte in the region. Bit
//! 63 is 0, because no kind has a number above 127. Drivers and programs share this file.

/// A decoded mmap offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Number of the kind, or a number that no kind has.
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
