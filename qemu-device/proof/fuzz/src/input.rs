// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Makes decisions from bytes. Behind their end, all decisions are 0.

/// Bytes that decide.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// Begins with the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Returns whether bytes are left.
    pub fn more(&self) -> bool {
        !self.0.is_empty()
    }

    /// Returns the next byte.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// Returns the next 64 bits.
    pub fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// Returns the next bytes, at most `length`.
    pub fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// Returns one of the choices.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    /// Returns a number, in most cases one near a limit: a multiple of a page, an end of a width,
    /// or one beside these.
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

    /// Returns a number that is a few pages in most cases, because no other range is mapped.
    pub fn pages(&mut self) -> u64 {
        match self.byte() {
            byte @ 0..=223 => u64::from(byte & 7) << 12,
            _ => self.field(),
        }
    }

    /// Returns [`field`](Self::field), cut to 32 bits.
    pub fn field32(&mut self) -> u32 {
        self.field() as u32
    }
}
