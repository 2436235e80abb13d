// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! CRC-32C as the data sheet chains it.

use crc::{Crc, Table, CRC_32_ISCSI};

/// Finishes with the complement of its state, which is where the next part begins.
static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// Checksum of what has the checksum `before`, 0 if that is nothing, and then `bytes`.
pub fn crc32c(before: u32, bytes: &[u8]) -> u32 {
    let initial = (!before).reverse_bits();
    let mut digest = CRC.digest_with_initial(initial);
    digest.update(bytes);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    #[test]
    fn checksum_of_the_digits_is_the_known_one() {
        assert_eq!(crc32c(0, b"123456789"), 0xe306_9283);
    }

    #[test]
    fn checksum_of_the_parts_is_that_of_the_whole() {
        assert_eq!(crc32c(crc32c(0, b"1234"), b"56789"), 0xe306_9283);
    }
}
