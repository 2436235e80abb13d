// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The buffer in which bytes are made, or into which they are read.

use crate::operation::PIECE;
use crate::Unreachable;
use ringbar_spec::pattern;

/// Source of the bytes of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filling {
    /// The eight bytes of a word, repeated.
    Word(u64),
    /// The pattern of a seed.
    Pattern(u64),
}

impl Filling {
    /// Returns bytes 8 * `index` to 8 * `index` + 7.
    fn word(self, index: u64) -> u64 {
        match self {
            Self::Word(word) => word,
            Self::Pattern(seed) => pattern::word(seed, index),
        }
    }
}

/// Room for a piece, and for the rest of the words at its ends.
pub(crate) struct Scratch(Box<[u64]>);

impl Scratch {
    /// Makes the buffer: two words more than a piece, as a piece may begin and end within a word.
    pub(crate) fn new() -> Self {
        Self(vec![0; PIECE as usize / 8 + 2].into())
    }

    /// Returns bytes `start` to `start` + `length` of a filling; `length` is at most a piece.
    pub(crate) fn make(&mut self, filling: Filling, start: u64, length: u64) -> &[u8] {
        // Whole words are made, from the word in which the piece begins. Pieces of a fragmented
        // window begin anywhere.
        let skipped = start % 8;
        let words = (skipped + length).div_ceil(8) as usize;
        for (index, word) in (start / 8..).zip(self.0.iter_mut().take(words)) {
            *word = filling.word(index).to_le();
        }
        self.bytes(skipped, length)
    }

    /// Returns room for `length` bytes, at most a piece.
    pub(crate) fn room(&mut self, length: u64) -> &mut [u8] {
        self.bytes(0, length)
    }

    /// Compares bytes `start` to `start` + `length` of the pattern of `seed`, at most a piece, with
    /// those that `read` fills in. Returns how many agree before the first that differs; `None` if
    /// all agree.
    pub(crate) fn compare(
        &mut self,
        seed: u64,
        start: u64,
        length: u64,
        read: impl FnOnce(&mut [u8]) -> Result<(), Unreachable>,
    ) -> Result<Option<u64>, Unreachable> {
        let skipped = start % 8;
        let first = start / 8;
        let words = (skipped + length).div_ceil(8);
        // The first and last word may have bytes outside of the piece. They are set to the pattern,
        // so that whole words can be compared and those bytes agree.
        for index in [0, words.saturating_sub(1)] {
            if let Some(word) = self.0.get_mut(index as usize) {
                *word = pattern::word(seed, first + index).to_le();
            }
        }
        read(self.bytes(skipped, length))?;
        let words = self.0.iter().take(words as usize);
        let differs = words
            .zip(first..)
            .zip(0u64..)
            .find_map(|((word, at), index)| {
                let difference = u64::from_le(*word) ^ pattern::word(seed, at);
                // The least significant byte comes first in memory, so the lowest bit that differs
                // lies in the first byte that does.
                (difference != 0).then(|| 8 * index + u64::from(difference.trailing_zeros() / 8))
            });
        Ok(differs.map(|byte| byte.saturating_sub(skipped)))
    }

    /// Returns `length` bytes of the buffer behind the `skipped` first ones.
    fn bytes(&mut self, skipped: u64, length: u64) -> &mut [u8] {
        let bytes = zerocopy::IntoBytes::as_mut_bytes(&mut *self.0);
        let range = skipped as usize..(skipped + length) as usize;
        bytes.get_mut(range).unwrap_or_default()
    }
}
