// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Pieces in which QEMU passes an access on to the device.
//!
//! A device never sees more than 8 bytes at once, and only at a multiple of their number. QEMU 11.1
//! splits other accesses to trapped memory by these rules (`accel/tcg/cputlb.c`):
//!
//! - An access that reaches two pages is split between them. The plugin records two accesses.
//! - More than 8 bytes are split into 8 and the rest. The rest comes last in a store, and first in
//!   a load.
//! - Each of these parts is split from its first byte on. The next piece has the largest power of
//!   two that divides its offset and the number of bytes left, and is at most 8.
//!
//! QEMU's region of a vfio-user device takes 1 to 8 bytes (`hw/vfio/region.c`), and splits no piece
//! again.

use ringbar_records::record::{Access, Hex};
use ringbar_spec::names::NamedByte;

/// Widest piece in bytes.
const WIDEST_PIECE: u64 = 8;
/// Widest access in bytes. QEMU passes a wider one to plugins as several.
const WIDEST: u32 = 16;

/// A piece of an access, as the device sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) offset: u64,
    pub(crate) width: u32,
    pub(crate) value: Option<Hex>,
}

/// Returns the pieces of a trapped access, in QEMU's order.
pub(crate) fn pieces(access: &Access) -> Vec<Piece> {
    let widths = if access.width > WIDEST {
        // No record of the plugin has that. The device cannot know such an access either.
        vec![access.width]
    } else {
        parts(access.width, access.write)
            .into_iter()
            .scan(access.place.offset, |begin, part| {
                let offset = *begin;
                *begin = offset.wrapping_add(part.into());
                Some(split(offset, part))
            })
            .flatten()
            .collect()
    };
    let mut done = 0;
    let piece = |width: u32| {
        let begin = done;
        done += width;
        Piece {
            offset: access.place.offset.wrapping_add(begin.into()),
            width,
            value: access.value.map(|value| cut(value, begin, width)),
        }
    };
    widths.into_iter().map(piece).collect()
}

/// Returns the parts of a piece of BAR 0 that are in one register or field each. Bytes from one that is
/// in none on stay together.
pub(crate) fn by_register(piece: Piece) -> Vec<Piece> {
    let mut parts = Vec::new();
    let mut done = 0;
    while done < piece.width {
        let offset = piece.offset.wrapping_add(done.into());
        let left = piece.width - done;
        let inside = NamedByte::at(offset).map(|byte| byte.info.width.saturating_sub(byte.byte));
        let width = inside.map_or(left, |inside| left.min(inside as u32));
        parts.push(Piece {
            offset,
            width,
            value: piece.value.map(|value| cut(value, done, width)),
        });
        done += width;
    }
    parts
}

/// Returns the widths of the parts of an access in one page.
fn parts(width: u32, write: bool) -> Vec<u32> {
    match width.checked_sub(8) {
        None | Some(0) => vec![width],
        Some(rest) if write => vec![8, rest],
        Some(rest) => vec![rest, 8],
    }
}

/// Returns the widths of the pieces of a part.
fn split(offset: u64, width: u32) -> Vec<u32> {
    let (mut offset, mut left) = (offset, u64::from(width));
    let mut widths = Vec::new();
    while left > 0 {
        let piece = 1 << (offset | left | WIDEST_PIECE).trailing_zeros();
        widths.push(piece as u32);
        offset = offset.wrapping_add(piece);
        left -= piece;
    }
    widths
}

/// Returns `width` bytes of a value, from byte `begin` on.
fn cut(value: Hex, begin: u32, width: u32) -> Hex {
    let value = value.0.checked_shr(begin.saturating_mul(8));
    let unused = 128u32.saturating_sub(width.saturating_mul(8));
    let mask = u128::MAX.checked_shr(unused).unwrap_or_default();
    Hex(value.unwrap_or_default() & mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::access;

    /// Returns offset and width of each piece.
    fn split(offset: u64, width: u32, write: bool) -> Vec<(u64, u32)> {
        let access = Access {
            width,
            ..access(offset, write, 0)
        };
        let pieces = pieces(&access).into_iter();
        pieces.map(|piece| (piece.offset, piece.width)).collect()
    }

    #[test]
    fn piece_of_two_registers_has_a_part_of_each() {
        let piece = |offset, width, value| Piece {
            offset,
            width,
            value: Some(Hex(value)),
        };

        let both = by_register(piece(0, 8, 0x0004_0000_4142_4344));
        let half = by_register(piece(2, 2, 0x4142));
        let none = by_register(piece(0x800, 8, 1));

        assert_eq!(both, [piece(0, 4, 0x4142_4344), piece(4, 4, 0x0004_0000)]);
        assert_eq!(half, [piece(2, 2, 0x4142)]);
        assert_eq!(none, [piece(0x800, 8, 1)]);
    }

    #[test]
    fn aligned_word_is_one_piece() {
        for width in [1, 2, 4, 8] {
            assert_eq!(split(0x18, width, false), [(0x18, width)]);
        }
    }

    #[test]
    fn sixteen_bytes_are_two_pieces() {
        for write in [false, true] {
            assert_eq!(split(0x10, 16, write), [(0x10, 8), (0x18, 8)]);
        }
    }

    #[test]
    fn word_at_an_odd_place_is_split_into_aligned_pieces() {
        assert_eq!(split(2, 4, false), [(2, 2), (4, 2)]);
        assert_eq!(split(4, 8, true), [(4, 4), (8, 4)]);
        assert_eq!(split(1, 2, true), [(1, 1), (2, 1)]);
    }

    #[test]
    fn odd_number_of_bytes_is_split_into_single_ones_until_it_is_even() {
        assert_eq!(split(1, 4, false), [(1, 1), (2, 1), (3, 1), (4, 1)]);
        assert_eq!(split(0, 3, false), [(0, 1), (1, 1), (2, 1)]);
        assert_eq!(split(3, 5, false), [(3, 1), (4, 4)]);
    }

    #[test]
    fn rest_of_more_than_eight_bytes_comes_first_in_a_load_and_last_in_a_store() {
        assert_eq!(split(0xff4, 12, false), [(0xff4, 4), (0xff8, 8)]);
        assert_eq!(split(0xff4, 12, true), [(0xff4, 4), (0xff8, 4), (0xffc, 4)]);
        assert_eq!(split(0, 12, true), [(0, 8), (8, 4)]);
        assert_eq!(split(0, 12, false), [(0, 4), (4, 4), (8, 4)]);
    }

    #[test]
    fn pieces_share_out_the_value() {
        let access = Access {
            width: 16,
            ..access(4, true, 0x1f1e_1d1c_1b1a_1918_1716_1514_1312_1110)
        };

        let values: Vec<u128> = pieces(&access)
            .into_iter()
            .filter_map(|piece| Some(piece.value?.0))
            .collect();

        assert_eq!(values, [0x1312_1110, 0x1716_1514, 0x1b1a_1918, 0x1f1e_1d1c]);
    }

    #[test]
    fn width_that_no_access_has_is_one_piece() {
        assert_eq!(split(1, u32::MAX, false), [(1, u32::MAX)]);
    }
}
