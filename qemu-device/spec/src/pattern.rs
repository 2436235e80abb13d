// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The seeded pattern of `ring::Opcode::PATTERN` (data sheet 7). Shared with the kernel module.
//!
//! Each word of eight bytes depends on the seed and its position only. Otherwise a piece could not
//! be made without all pieces before it. The mixing function is that of SplitMix64 (Steele, Lea and
//! Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).

/// Returns bytes 8 * `index` to 8 * `index` + 7 of the pattern of `seed`, least significant first.
pub const fn word(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Returns byte `offset` of the pattern of `seed`.
pub const fn byte(seed: u64, offset: u64) -> u8 {
    word(seed, offset / 8).to_le_bytes()[(offset % 8) as usize]
}
