// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Compares bytes of a memory. A failure names the first byte that differs: a whole page of both
//! would hide it.

use crate::hex;
use std::fmt;

/// Bytes that a failure shows from the first difference on.
const SHOWN: usize = 8;

/// Compares bytes that were read with the expected ones.
///
/// # Panics
///
/// If they differ. The message has `what`, the first byte that differs, and the number of such
/// bytes: `buffer: byte 0x40 is 5a, not 00; 64 of 1000 bytes differ; from it on: 5a 5a …, not 00 00
/// …`.
#[track_caller]
pub fn expect_bytes(what: impl fmt::Display, read: &[u8], expected: &[u8]) {
    if let Some(difference) = difference(read, expected) {
        panic!("{what}: {difference}");
    }
}

/// Returns how `read` differs from `expected`, in words. `None` if it does not.
fn difference(read: &[u8], expected: &[u8]) -> Option<String> {
    let (length, wanted) = (read.len(), expected.len());
    if length != wanted {
        return Some(format!("{length} bytes were read, not {wanted}"));
    }
    let mut wrong = (0..length).filter(|at| read[*at] != expected[*at]);
    let first = wrong.next()?;
    let count = 1 + wrong.count();
    let shown = first..length.min(first + SHOWN);
    Some(format!(
        "byte {first:#x} is {:02x}, not {:02x}; {count} of {length} bytes differ; from it on: {}, not {}",
        read[first],
        expected[first],
        hex(&read[shown.clone()]),
        hex(&expected[shown])
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_are_accepted() {
        expect_bytes("buffer", &[1, 2], &[1, 2]);
        expect_bytes("nothing", &[], &[]);
    }

    #[test]
    fn first_byte_that_differs_is_named() {
        let (mut read, expected) = ([0; 32], [0; 32]);
        read[0x1d] = 0x5a;
        read[0x1f] = 1;

        assert_eq!(
            difference(&read, &expected).as_deref(),
            Some(
                "byte 0x1d is 5a, not 00; 2 of 32 bytes differ; from it on: 5a 00 01, not 00 00 00"
            )
        );
    }

    #[test]
    #[should_panic(expected = "buffer: 1 bytes were read, not 2")]
    fn missing_byte_is_a_difference() {
        expect_bytes("buffer", &[1], &[1, 1]);
    }
}
