// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The seeded pattern of data sheet 7, many bytes at once.

use ringbar_spec::pattern::word;

/// Returns the first `length` bytes of the pattern of `seed`.
///
/// It makes a word at a time. Translated code takes seconds for the 16 MiB of the longest copy if
/// it mixes one word per byte.
pub fn pattern_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for (index, chunk) in (0..).zip(bytes.chunks_mut(8)) {
        chunk.copy_from_slice(&word(seed, index).to_le_bytes()[..chunk.len()]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::pattern_bytes;
    use ringbar_spec::pattern::byte;

    #[test]
    fn bytes_are_those_of_the_pattern_one_by_one() {
        for length in [0, 1, 7, 8, 9, 1001] {
            let expected: Vec<_> = (0..length as u64).map(|offset| byte(7, offset)).collect();
            assert_eq!(pattern_bytes(7, length), expected, "{length} bytes");
        }
    }
}
