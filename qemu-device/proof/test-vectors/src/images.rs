// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Expected bytes of the memories that the test vectors use (`scene.rs`), and expected completions,
//! computed from the data sheet.

use crate::scene::{self, Window};
use crate::{crc32c, pattern_bytes};
use ringbar_spec::ring::{Completion, Descriptor, Opcode, Status};

/// The bytes of all memories, as they must be.
#[derive(Clone, Debug)]
pub struct Images {
    windows: Vec<Window>,
    memories: Vec<Vec<u8>>,
}

impl Default for Images {
    /// Returns the bytes with which each test vector starts.
    fn default() -> Self {
        Self {
            windows: scene::windows(),
            memories: (0..scene::MEMORIES.len()).map(scene::initial).collect(),
        }
    }
}

impl Images {
    /// Returns the bytes, memory by memory.
    pub fn memories(&self) -> &[Vec<u8>] {
        &self.memories
    }

    /// Carries out a descriptor, one byte after another. Returns its completion.
    pub fn carry_out(&mut self, descriptor: &Descriptor) -> Completion {
        // The windows as the checks see them: numbers, sizes and rights.
        let targets: Vec<_> = self.windows.iter().map(Window::target).collect();
        let mut status = crate::status(descriptor, &targets);
        let mut result = 0;
        // A refused descriptor writes nothing (data sheet 8).
        if status == Status::OK {
            (status, result) = self.work(descriptor);
        }
        Completion {
            tag: descriptor.tag,
            status: status.0,
            reserved: 0,
            result,
        }
    }

    /// Carries out a descriptor that has passed all checks (data sheet 7).
    fn work(&mut self, descriptor: &Descriptor) -> (Status, u64) {
        let length = descriptor.length as usize;
        let operand = descriptor.operand;
        match Opcode(descriptor.opcode) {
            Opcode::COPY => {
                // All bytes are read before the first is written: as `memmove`, whatever the
                // overlap (data sheet 7).
                let bytes = self.source(descriptor);
                self.write(descriptor, &bytes);
            }
            Opcode::FILL => {
                let bytes = operand.to_le_bytes().into_iter().cycle();
                self.write(descriptor, &bytes.take(length).collect::<Vec<_>>());
            }
            Opcode::PATTERN => {
                self.write(descriptor, &pattern_bytes(operand, length));
            }
            Opcode::VERIFY => {
                let (found, expected) = (self.source(descriptor), pattern_bytes(operand, length));
                // The result is the number of the first byte that differs, else the length (data
                // sheet 7).
                return match found
                    .iter()
                    .zip(&expected)
                    .position(|(is, must)| is != must)
                {
                    Some(offset) => (Status::MISMATCH, offset as u64),
                    None => (Status::OK, length as u64),
                };
            }
            Opcode::CRC32C => {
                let checksum = crc32c(operand as u32, &self.source(descriptor));
                return (Status::OK, checksum.into());
            }
            _ => {}
        }
        (Status::OK, 0)
    }

    /// Returns the bytes that a descriptor reads.
    fn source(&self, descriptor: &Descriptor) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(descriptor.length as usize);
        let pieces = self.pieces(descriptor.source_window, descriptor.source_offset);
        for (memory, range) in pieces {
            let left = descriptor.length as usize - bytes.len();
            let end = range.end.min(range.start + left);
            bytes.extend_from_slice(&self.memories[memory][range.start..end]);
        }
        bytes
    }

    /// Writes bytes to the place that a descriptor writes.
    fn write(&mut self, descriptor: &Descriptor, mut bytes: &[u8]) {
        for (memory, range) in
            self.pieces(descriptor.destination_window, descriptor.destination_offset)
        {
            let (now, rest) = bytes.split_at(range.len().min(bytes.len()));
            self.memories[memory][range.start..][..now.len()].copy_from_slice(now);
            bytes = rest;
        }
    }

    /// Returns the pieces of memory behind a window, starting at `offset`: the number of a memory
    /// and a range of it.
    fn pieces(&self, window: u16, offset: u64) -> Vec<(usize, std::ops::Range<usize>)> {
        let window = self.windows.iter().find(|it| it.number == window);
        let mut skip = offset as usize;
        let mut pieces = Vec::new();
        for part in window.into_iter().flat_map(|window| &window.parts) {
            let skipped = skip.min(part.range.len());
            skip -= skipped;
            pieces.push((part.memory, part.range.start + skipped..part.range.end));
        }
        pieces
    }
}
