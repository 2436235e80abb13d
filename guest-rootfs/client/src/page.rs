// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A page that the two sides of a queue share, accessed without a check for each access.

#![expect(
    unsafe_code,
    reason = "accesses words through raw pointers whose offsets are known when the code is compiled"
)]

use crate::Mapping;
use ringbar_spec::layout::PAGE_LENGTH;
use std::array;

/// A page of a queue. Its checks depend on offsets alone, so none is left in code that knows them.
///
/// # Panics
///
/// Accesses panic if they leave the page or are not aligned. Each of these is a mistake of this
/// library.
#[derive(Debug)]
pub(crate) struct Page<const WRITABLE: bool>(Mapping);

impl<const WRITABLE: bool> Page<WRITABLE> {
    /// Takes a mapping over.
    ///
    /// # Panics
    ///
    /// If it is shorter than a page, or read-only and not meant to be.
    pub(crate) fn new(mapping: Mapping) -> Self {
        let length = mapping.len();
        assert!(length >= PAGE_LENGTH, "a page of {length} bytes");
        assert!(mapping.is_writable() || !WRITABLE, "the page is read-only");
        Self(mapping)
    }

    /// Returns the address of `count` words at `offset`.
    #[inline]
    fn place<W>(&self, offset: usize, count: usize) -> *mut W {
        assert!(
            offset.is_multiple_of(size_of::<W>()) && offset + count * size_of::<W>() <= PAGE_LENGTH
        );
        self.0.as_ptr().wrapping_add(offset).cast()
    }

    /// Loads the word at `offset`, in one access.
    #[inline]
    pub(crate) fn load(&self, offset: usize) -> u32 {
        let place: *const u32 = self.place(offset, 1);
        // SAFETY: `place` checked that the word is in the page, and aligned, and `new` that the
        // mapping has a page. Any bits are a valid word.
        unsafe { place.read_volatile() }
    }

    /// Loads the words from `offset` on, one access each.
    #[inline]
    pub(crate) fn load_words<const N: usize>(&self, offset: usize) -> [u64; N] {
        let place: *const u64 = self.place(offset, N);
        // SAFETY: `place` checked that all words are in the page, and aligned, and `new` that the
        // mapping has a page. Any bits are a valid word.
        array::from_fn(|index| unsafe { place.wrapping_add(index).read_volatile() })
    }
}

impl Page<true> {
    /// Stores a word at `offset`, in one access.
    #[inline]
    pub(crate) fn store(&self, offset: usize, value: u32) {
        let place: *mut u32 = self.place(offset, 1);
        // SAFETY: `place` checked that the word is in the page, and aligned. `new` checked that the
        // mapping has a page and is writable.
        unsafe { place.write_volatile(value) };
    }

    /// Stores words from `offset` on, one access each.
    #[inline]
    pub(crate) fn store_words<const N: usize>(&self, offset: usize, words: [u64; N]) {
        let place: *mut u64 = self.place(offset, N);
        for (index, word) in words.into_iter().enumerate() {
            // SAFETY: `place` checked that all words are in the page, and aligned. `new` checked
            // that the mapping has a page and is writable.
            unsafe { place.wrapping_add(index).write_volatile(word) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page<true> {
        Page::new(Mapping::anonymous(PAGE_LENGTH).unwrap())
    }

    #[test]
    fn words_are_where_they_were_stored() {
        let page = page();

        page.store(PAGE_LENGTH - 4, 7);
        page.store_words(8, [1, 2, 3]);

        assert_eq!(page.load(PAGE_LENGTH - 4), 7);
        assert_eq!(page.load_words(0), [0, 1, 2, 3, 0]);
    }

    #[test]
    #[should_panic]
    fn word_behind_the_page_is_refused() {
        page().load(PAGE_LENGTH);
    }

    #[test]
    #[should_panic]
    fn word_that_is_not_aligned_is_refused() {
        page().store(2, 1);
    }

    #[test]
    #[should_panic]
    fn words_that_leave_the_page_are_refused() {
        page().store_words(PAGE_LENGTH - 8, [1, 2]);
    }

    #[test]
    #[should_panic = "a page of"]
    fn mapping_shorter_than_a_page_is_refused() {
        Page::<false>::new(Mapping::anonymous(PAGE_LENGTH - 1).unwrap());
    }
}
