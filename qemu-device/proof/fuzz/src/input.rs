// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Makes decisions of bytes. Where there are no more, everything is 0.

/// Bytes that decide.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of it.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether there is more.
    pub fn more(&self) -> bool {
        !self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// The next 64 bits.
    pub fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// At most `length` bytes.
    pub fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// One of several.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    /// A number, mostly one of those that decide something: multiples of a page, both ends of each
    /// width, and one more or less.
    pub fn field(&mut self) -> u64 {
        let byte = self.byte();
        let near = match byte >> 4 {
            0..=3 => u64::from(byte & 0xf) << 12,
            4 | 5 => u64::from(byte & 0xf),
            6 => 1 << 20,
            7 => 1 << 31,
            8 => 1 << 32,
            9 => 1 << 63,
            10 => 0,
            11 => 0_u64.wrapping_sub(4096),
            12 => 256,
            13 => 1_u64 << (byte & 0xf),
            _ => return self.number(),
        };
        match byte & 3 {
            1 if byte >= 0x60 => near.wrapping_sub(1),
            2 if byte >= 0x60 => near.wrapping_add(1),
            _ => near,
        }
    }

    /// A number, mostly that of some pages, as nothing else is mapped.
    pub fn pages(&mut self) -> u64 {
        match self.byte() {
            byte @ 0..=223 => u64::from(byte & 7) << 12,
            _ => self.field(),
        }
    }

    /// As [`field`](Self::field), cut to 32 bits.
    pub fn field32(&mut self) -> u32 {
        self.field() as u32
    }
}
