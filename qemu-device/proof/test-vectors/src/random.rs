// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Random descriptors: half of them sound, the others with one to three changes, which make most of
//! them wrong.

use crate::check::{Opened, Target};
use fastrand::Rng;
use ringbar_spec::ring::{Descriptor, Opcode, MAX_LENGTH};

/// A source of random descriptors, always the same ones for a seed.
#[derive(Debug)]
pub struct Generator {
    random: Rng,
    targets: Vec<Target>,
}

impl Generator {
    /// Makes a source of descriptors that name the windows of `targets` and no others.
    pub fn new(seed: u64, targets: Vec<Target>) -> Self {
        Self {
            random: Rng::with_seed(seed),
            targets,
        }
    }

    /// Returns the next descriptor.
    pub fn descriptor(&mut self) -> Descriptor {
        let mut descriptor = self.sound();
        if self.random.bool() {
            for _ in 0..self.random.u8(1..4) {
                self.spoil(&mut descriptor);
            }
        }
        descriptor
    }

    /// Returns a number below `limit`.
    pub fn below(&mut self, limit: u32) -> u32 {
        self.random.u32(0..limit)
    }

    /// Makes a descriptor whose windows are open, grant the rights that it needs, and contain its
    /// bytes.
    fn sound(&mut self) -> Descriptor {
        let (opcode, _) = Opcode::ALL[self.random.usize(..Opcode::ALL.len())];
        let mut descriptor = Descriptor {
            opcode: opcode.0,
            tag: self.random.u32(..),
            ..Descriptor::default()
        };
        if opcode == Opcode::NOP {
            return descriptor;
        }
        let reads = [Opcode::COPY, Opcode::VERIFY, Opcode::CRC32C].contains(&opcode);
        let writes = [Opcode::COPY, Opcode::FILL, Opcode::PATTERN].contains(&opcode);
        let source = reads.then(|| self.usable(|it| it.readable));
        let destination = writes.then(|| self.usable(|it| it.writable));
        let room = [source, destination].into_iter().flatten();
        let room = room.map(|(_, length)| length).min().unwrap_or(1);
        // At most 8 KiB, far below the limit: a run then gets through many descriptors.
        let most = 1 << self.random.u32(3..14);
        let length = self.random.u64(1..=room.min(most));
        descriptor.length = length as u32;
        if let Some((window, size)) = source {
            descriptor.source_window = window;
            descriptor.source_offset = self.random.u64(0..=size - length);
        }
        if let Some((window, size)) = destination {
            descriptor.destination_window = window;
            descriptor.destination_offset = self.random.u64(0..=size - length);
        }
        // Only operands that data sheet 7 allows. With another one the descriptor would not be
        // sound.
        descriptor.operand = match opcode {
            Opcode::COPY => 0,
            Opcode::CRC32C => self.random.u32(..).into(),
            _ => self.random.u64(..),
        };
        descriptor
    }

    /// Returns number and length of a random window that is open and has the right.
    fn usable(&mut self, has_right: impl Fn(&Opened) -> bool) -> (u16, u64) {
        let candidates: Vec<_> = self
            .targets
            .iter()
            .filter_map(|target| Some((target.window, target.open.filter(&has_right)?.length)))
            .collect();
        candidates[self.random.usize(..candidates.len())]
    }

    /// Changes one field of a descriptor at random. In most cases the descriptor is wrong then.
    fn spoil(&mut self, descriptor: &mut Descriptor) {
        match self.random.u8(0..9) {
            0 => descriptor.opcode = self.random.u16(..) >> self.random.u32(0..16),
            1 => descriptor.flags = 1 << self.random.u32(0..16),
            2 => descriptor.length = self.length(),
            3 => descriptor.source_window = self.window(),
            4 => descriptor.destination_window = self.window(),
            5 => descriptor.source_offset = self.offset(descriptor.length),
            6 => descriptor.destination_offset = self.offset(descriptor.length),
            7 => descriptor.operand = self.random.u64(..),
            _ => descriptor.reserved[self.random.usize(..3)] = self.random.u64(..),
        }
    }

    /// Returns the number of a random window.
    fn window(&mut self) -> u16 {
        self.targets[self.random.usize(..self.targets.len())].window
    }

    /// Returns a length near one of the limits.
    fn length(&mut self) -> u32 {
        let target = self.targets[self.random.usize(..self.targets.len())];
        let room = target.open.map_or(4096, |it| it.length) as u32;
        let edges = [0, 1, room, MAX_LENGTH, u32::MAX, 1 << 31, 4096];
        let edge = edges[self.random.usize(..edges.len())];
        edge.wrapping_add(self.random.u32(0..3)).wrapping_sub(1)
    }

    /// Returns an offset near one of the limits.
    fn offset(&mut self, length: u32) -> u64 {
        let target = self.targets[self.random.usize(..self.targets.len())];
        let room = target.open.map_or(4096, |it| it.length);
        let last = room.wrapping_sub(length.into());
        // With this offset, offset + length is just 2^64.
        let wraps = u64::from(length).wrapping_neg();
        let edges = [0, last, room, wraps, 1 << 32, 1 << 63, u64::MAX];
        let edge = edges[self.random.usize(..edges.len())];
        edge.wrapping_add(self.random.u64(0..3)).wrapping_sub(1)
    }
}
