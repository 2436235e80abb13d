// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Constructors of descriptors (data sheet 7). Source and destination are window and offset.

use ringbar_spec::ring::{Descriptor, Opcode};

/// Makes a descriptor that does nothing.
pub fn nop(tag: u32) -> Descriptor {
    Descriptor {
        opcode: Opcode::NOP.0,
        tag,
        ..Descriptor::default()
    }
}

/// Makes a descriptor that copies `length` bytes.
pub fn copy(tag: u32, from: (u16, u64), to: (u16, u64), length: u32) -> Descriptor {
    Descriptor {
        opcode: Opcode::COPY.0,
        source_window: from.0,
        source_offset: from.1,
        ..fill(tag, 0, to, length)
    }
}

/// Makes a descriptor that fills with the bytes of a word.
pub fn fill(tag: u32, word: u64, to: (u16, u64), length: u32) -> Descriptor {
    Descriptor {
        opcode: Opcode::FILL.0,
        tag,
        length,
        destination_window: to.0,
        destination_offset: to.1,
        operand: word,
        ..Descriptor::default()
    }
}

/// Makes a descriptor that makes a pattern.
pub fn pattern(tag: u32, seed: u64, to: (u16, u64), length: u32) -> Descriptor {
    Descriptor {
        opcode: Opcode::PATTERN.0,
        ..fill(tag, seed, to, length)
    }
}

/// Makes a descriptor that compares with a pattern.
pub fn verify(tag: u32, seed: u64, from: (u16, u64), length: u32) -> Descriptor {
    Descriptor {
        opcode: Opcode::VERIFY.0,
        tag,
        length,
        source_window: from.0,
        source_offset: from.1,
        operand: seed,
        ..Descriptor::default()
    }
}

/// Makes a descriptor that goes on with a checksum.
pub fn crc32c(tag: u32, checksum: u32, from: (u16, u64), length: u32) -> Descriptor {
    Descriptor {
        opcode: Opcode::CRC32C.0,
        ..verify(tag, checksum.into(), from, length)
    }
}
