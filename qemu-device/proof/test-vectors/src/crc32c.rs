// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! CRC-32C, chained as in data sheet 7.

use crc::{Crc, Table, CRC_32_ISCSI};

/// The algorithm. It returns the complement of its state, from which the next part goes on.
static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// Returns the checksum of bytes with the checksum `before`, 0 if there are none, followed by
/// `bytes`.
pub fn crc32c(before: u32, bytes: &[u8]) -> u32 {
    // The library takes the state unreflected. The sheet chains finished checksums, so the
    // complement is undone.
    let initial = (!before).reverse_bits();
    let mut digest = CRC.digest_with_initial(initial);
    digest.update(bytes);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    #[test]
    fn checksum_of_the_digits_has_the_known_value() {
        assert_eq!(crc32c(0, b"123456789"), 0xe306_9283);
    }

    #[test]
    fn checksum_of_the_parts_is_that_of_the_whole() {
        assert_eq!(crc32c(crc32c(0, b"1234"), b"56789"), 0xe306_9283);
    }
}
