// SPDX-License-Identifier: GPL-2.0-only

//! Hands out ranges of a part of the device memory.

use kernel::prelude::*;

/// A range in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    /// First byte.
    pub(crate) start: usize,
    /// Length.
    pub(crate) length: usize,
}

impl Range {
    fn end(&self) -> usize {
        self.start + self.length
    }
}

/// First-fit allocator of ranges.
///
/// # Invariants
///
/// `used` is sorted, its ranges lie in `whole` and do not overlap.
pub(crate) struct Ranges {
    whole: Range,
    used: KVec<Range>,
}

impl Ranges {
    /// Returns ranges of `whole`, all of it free.
    pub(crate) fn new(whole: Range) -> Self {
        Self {
            whole,
            used: KVec::new(),
        }
    }

    /// Takes the first free range of `length` bytes.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if there is none, `ENOMEM` if there is no memory for the list.
    pub(crate) fn take(&mut self, length: usize) -> Result<Range> {
        let mut start = self.whole.start;
        let mut index = 0;
        for used in &self.used {
            if used.start - start >= length {
                break;
            }
            start = used.end();
            index += 1;
        }
        if self.whole.end() - start < length {
            return Err(ENOSPC);
        }
        let range = Range { start, length };
        self.used.reserve(1, GFP_KERNEL)?;
        self.used
            .insert_within_capacity(index, range)
            .map_err(|_| ENOMEM)?;
        Ok(range)
    }

    /// Gives a range back that [`Ranges::take`] returned.
    pub(crate) fn give_back(&mut self, range: Range) {
        self.used.retain(|used| used.start != range.start);
    }
}
