// SPDX-License-Identifier: GPL-2.0-only

//! A set of numbers that are handed out: of regions, or of things of a device.

use core::ops::Range;
use kernel::prelude::*;

/// Numbers, each of which is free or taken.
pub(crate) struct NumberSet {
    whole: Range<u32>,
    /// Bit n % 64 of word n / 64: number n is taken.
    taken: KVec<u64>,
}

impl NumberSet {
    /// Returns numbers that are all free.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(whole: Range<u32>) -> Result<Self> {
        let words = whole.end.div_ceil(u64::BITS) as usize;
        Ok(Self {
            whole,
            taken: KVec::from_elem(0, words, GFP_KERNEL)?,
        })
    }

    /// Returns the lowest free number, which stays free.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if there is none.
    pub(crate) fn lowest(&self) -> Result<u32> {
        let mut whole = self.whole.clone();
        whole.find(|number| !self.is_taken(*number)).ok_or(ENOSPC)
    }

    /// Takes a number.
    pub(crate) fn take(&mut self, number: u32) {
        if let Some(word) = self.word(number) {
            *word |= bit(number);
        }
    }

    /// Gives a number back.
    pub(crate) fn give_back(&mut self, number: u32) {
        if let Some(word) = self.word(number) {
            *word &= !bit(number);
        }
    }

    fn is_taken(&self, number: u32) -> bool {
        let word = self.taken.get(index(number));
        word.is_none_or(|word| word & bit(number) != 0)
    }

    fn word(&mut self, number: u32) -> Option<&mut u64> {
        self.taken.get_mut(index(number))
    }
}

fn index(number: u32) -> usize {
    (number / u64::BITS) as usize
}

fn bit(number: u32) -> u64 {
    1 << (number % u64::BITS)
}
