// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Values of accesses that swap their bytes (MOVBE).

/// Returns the number of `width` bytes whose lowest byte is the first one in memory, for the value
/// of an access that swaps its bytes.
pub(crate) fn in_memory(value: u128, width: u32) -> u128 {
    if !is_swapped_by_the_host() {
        return value;
    }
    let unused = 128u32.saturating_sub(width.saturating_mul(8));
    value.swap_bytes().checked_shr(unused).unwrap_or_default()
}

/// Returns whether the host swaps bytes in the load or store itself. QEMU passes the register's
/// value to plugins then. On other hosts it swaps with an instruction of its own behind a load or
/// before a store, and plugins get the bytes as they lie in memory.
fn is_swapped_by_the_host() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("movbe")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_byte_in_memory_is_the_lowest_of_the_number() {
        let expected = if is_swapped_by_the_host() {
            [0x0201, 0x0403_0201]
        } else {
            [0x0102, 0x0102_0304]
        };

        assert_eq!([in_memory(0x0102, 2), in_memory(0x0102_0304, 4)], expected);
    }
}
