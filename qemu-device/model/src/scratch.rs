// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The buffer that made-up bytes are written from.

use crate::operation::PIECE;
use ringbar_spec::pattern;

/// What the bytes of a destination are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filling {
    /// The eight bytes of a word, repeated.
    Word(u64),
    /// The pattern that a seed makes.
    Pattern(u64),
}

impl Filling {
    /// Bytes 8 * `index` to 8 * `index` + 7.
    fn word(self, index: u64) -> u64 {
        match self {
            Self::Word(word) => word,
            Self::Pattern(seed) => pattern::word(seed, index),
        }
    }
}

/// Room for a piece and for what is left over of the words at its ends.
pub(crate) struct Scratch(Box<[u64]>);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(vec![0; PIECE as usize / 8 + 2].into())
    }

    /// Bytes `start` to `start` + `length` of a filling, `length` being at most a piece.
    pub(crate) fn make(&mut self, filling: Filling, start: u64, length: u64) -> &[u8] {
        let skipped = start % 8;
        let words = (skipped + length).div_ceil(8) as usize;
        for (index, word) in (start / 8..).zip(self.0.iter_mut().take(words)) {
            *word = filling.word(index).to_le();
        }
        let bytes = zerocopy::IntoBytes::as_bytes(&*self.0);
        let range = skipped as usize..(skipped + length) as usize;
        bytes.get(range).unwrap_or_default()
    }
}
