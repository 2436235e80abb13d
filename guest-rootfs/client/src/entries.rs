// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The entries of a ring in a mapping, found without a check for each access.

#![expect(
    unsafe_code,
    reason = "accesses entries through raw pointers that no index can lead out of the mapping"
)]

use crate::Mapping;
use ringbar_spec::ring::{Completion, Descriptor};
use std::array;
use std::marker::PhantomData;
use std::ptr;

/// A part of an entry that one store moves: as wide as the registers that every processor of the
/// kind has.
#[cfg(target_arch = "x86_64")]
type Wide = std::arch::x86_64::__m128i;
/// A part of an entry that one store moves.
#[cfg(not(target_arch = "x86_64"))]
type Wide = u64;

/// Stores that write a descriptor.
const STORES: usize = size_of::<Descriptor>() / size_of::<Wide>();
const _: () = assert!(STORES * size_of::<Wide>() == size_of::<Descriptor>());
/// Words of eight bytes in a descriptor, and in a completion.
pub(crate) const DESCRIPTOR_WORDS: usize = size_of::<Descriptor>() / 8;
const COMPLETION_WORDS: usize = size_of::<Completion>() / 8;

/// The entries of a ring, as many as the greatest power of two that the mapping has room for.
#[derive(Debug)]
pub(crate) struct Entries<T> {
    mapping: Mapping,
    /// Number of entries minus 1: the bits of an index that tell entries apart.
    mask: u32,
    entry: PhantomData<T>,
}

impl<T> Entries<T> {
    /// Takes a mapping over.
    ///
    /// # Panics
    ///
    /// If the mapping has no room for an entry. That is a mistake of the program.
    fn over(mapping: Mapping) -> Self {
        let room = mapping.len() / size_of::<T>();
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        let bits = room.checked_ilog2().expect("room for an entry");
        Self {
            mapping,
            mask: (1 << bits) - 1,
            entry: PhantomData,
        }
    }

    /// Returns the address of an entry: of number `index`, modulo the number of entries.
    #[inline]
    fn place<P>(&self, index: u32) -> *mut P {
        let skipped = (index & self.mask) as usize * size_of::<T>();
        self.mapping.as_ptr().wrapping_add(skipped).cast()
    }
}

impl Entries<Descriptor> {
    /// Takes over the mapping of a submission ring.
    ///
    /// # Panics
    ///
    /// If the mapping is read-only, or has no room for an entry.
    pub(crate) fn submission(mapping: Mapping) -> Self {
        assert!(mapping.is_writable(), "the submission ring is read-only");
        Self::over(mapping)
    }

    /// Writes an entry, the first bytes first.
    #[inline]
    pub(crate) fn put(&self, index: u32, descriptor: &Descriptor) {
        let from: *const Wide = ptr::from_ref(descriptor).cast();
        let to: *mut Wide = self.place(index);
        for part in 0..STORES {
            // SAFETY: `STORES` parts are the descriptor, all bytes of which are initialised. Any
            // bytes are a `Wide`.
            let bytes = unsafe { from.wrapping_add(part).read_unaligned() };
            // SAFETY: `place` returns an entry inside the mapping, which is writable, and `STORES`
            // parts are one entry. It is aligned to the size of an entry, a multiple of that of a
            // part, as mappings begin with a page.
            unsafe { to.wrapping_add(part).write_volatile(bytes) };
        }
    }

    /// Reads an entry back, word by word.
    #[inline]
    pub(crate) fn words(&self, index: u32) -> [u64; DESCRIPTOR_WORDS] {
        self.load(index)
    }
}

impl Entries<Completion> {
    /// Takes over the mapping of a completion ring.
    ///
    /// # Panics
    ///
    /// If the mapping has no room for an entry.
    pub(crate) fn completion(mapping: Mapping) -> Self {
        Self::over(mapping)
    }

    /// Reads an entry.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Completion {
        // Read-only and shared with the device. A copy of whole words is the only consistent view
        // of an entry.
        let words: [u64; COMPLETION_WORDS] = self.load(index);
        zerocopy::transmute!(words)
    }
}

impl<T> Entries<T> {
    /// Loads the words of an entry, one access each.
    #[inline]
    fn load<const WORDS: usize>(&self, index: u32) -> [u64; WORDS] {
        const { assert!(WORDS * size_of::<u64>() == size_of::<T>()) };
        let place: *const u64 = self.place(index);
        // SAFETY: `place` returns an entry inside the mapping, and `WORDS` words are one entry. It
        // is aligned to the size of an entry, as mappings begin with a page. Any bits are a valid
        // word.
        array::from_fn(|word| unsafe { place.wrapping_add(word).read_volatile() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(tag: u32) -> Descriptor {
        Descriptor {
            tag,
            reserved: [1, 2, u64::MAX - u64::from(tag)],
            ..Descriptor::default()
        }
    }

    fn ring(entries: usize) -> Entries<Descriptor> {
        let bytes = entries * size_of::<Descriptor>();
        Entries::submission(Mapping::anonymous(bytes).unwrap())
    }

    #[test]
    fn entry_is_that_of_the_index_modulo_their_number() {
        let ring = ring(4);

        for index in [0, 5, u32::MAX - 1, u32::MAX] {
            ring.put(index, &tagged(index));
        }

        for (place, tag) in [0, 5, u32::MAX - 1, u32::MAX].into_iter().enumerate() {
            let place_in_bytes = place * size_of::<Descriptor>();
            let words: [u64; DESCRIPTOR_WORDS] = ring.mapping.read_words(place_in_bytes);
            let descriptor: Descriptor = zerocopy::transmute!(words);
            assert_eq!(descriptor, tagged(tag), "entry {place}");
            let back: Descriptor = zerocopy::transmute!(ring.words(place as u32));
            assert_eq!(back, tagged(tag));
        }
    }

    #[test]
    fn entry_beyond_the_last_power_of_two_is_never_used() {
        let ring = ring(7);

        for index in 0..16 {
            ring.put(index, &tagged(1));
        }

        let behind = ring.mapping.read_bytes(4 * 64, 3 * 64);
        assert_eq!(behind, [0; 3 * 64]);
    }

    #[test]
    #[should_panic = "room for an entry"]
    fn mapping_without_room_for_an_entry_is_refused() {
        Entries::<Completion>::completion(Mapping::anonymous(15).unwrap());
    }

    #[test]
    fn completion_is_read_from_its_entry() {
        let mapping = Mapping::anonymous(4 * size_of::<Completion>()).unwrap();
        mapping.write(16, 7_u64 | 3 << 32);
        mapping.write(24, 9_u64);
        let ring = Entries::completion(mapping);

        let completion = ring.get(u32::MAX - 2);

        let expected = Completion {
            tag: 7,
            status: 3,
            reserved: 0,
            result: 9,
        };
        assert_eq!(completion, expected);
    }
}
