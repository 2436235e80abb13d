// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Numbers on the command line.

use std::str::FromStr;
use std::time::Duration;

/// Longest interval between two lines of `watch`, in seconds.
const MAX_SECONDS: f64 = 86_400.0;

/// Width of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// 1 byte.
    U8,
    /// 2 bytes.
    U16,
    /// 4 bytes.
    U32,
    /// 8 bytes.
    U64,
}

impl Width {
    /// Returns the width with this many bytes, if there is one.
    pub(crate) fn of(bytes: usize) -> Option<Self> {
        match bytes {
            1 => Some(Self::U8),
            2 => Some(Self::U16),
            4 => Some(Self::U32),
            8 => Some(Self::U64),
            _ => None,
        }
    }

    /// Returns the number of bytes.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::U32 => 4,
            Self::U64 => 8,
        }
    }

    /// Returns the largest number of this width.
    pub(crate) fn max(self) -> u64 {
        match self {
            Self::U8 => u8::MAX.into(),
            Self::U16 => u16::MAX.into(),
            Self::U32 => u32::MAX.into(),
            Self::U64 => u64::MAX,
        }
    }
}

impl FromStr for Width {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let width = text.parse().ok().and_then(Self::of);
        width.ok_or_else(|| "an access has 1, 2, 4 or 8 bytes".to_owned())
    }
}

/// Parses a number: decimal, hexadecimal after `0x`, binary after `0b`. `_` is ignored.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let (digits, radix) = match text.split_at_checked(2) {
        Some(("0x" | "0X", digits)) => (digits, 16),
        Some(("0b" | "0B", digits)) => (digits, 2),
        _ => (text, 10),
    };
    let plain = digits.replace('_', "");
    // Checked here, because `from_str_radix` accepts a sign.
    if !plain.starts_with(|first: char| first.is_digit(radix)) {
        return Err("not a number: write 24, 0x18 or 0b1_1000".to_owned());
    }
    u64::from_str_radix(&plain, radix).map_err(|error| error.to_string())
}

/// Parses a number of bytes, at least 1. The suffixes K, M and G stand for KiB, MiB and GiB.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let units = [('K', 10), ('M', 20), ('G', 30)];
    let suffixed = units.iter().find_map(|(letter, shift)| {
        let lower = letter.to_ascii_lowercase();
        Some((text.strip_suffix([*letter, lower])?, 1u64 << shift))
    });
    let (digits, factor) = suffixed.unwrap_or((text, 1));
    match parse(digits)?.checked_mul(factor) {
        Some(0) => Err("at least 1 byte".to_owned()),
        Some(bytes) => Ok(bytes),
        None => Err("2^64 bytes or more".to_owned()),
    }
}

/// Parses a time in seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=MAX_SECONDS).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err("a number of seconds from 0.01 to 86400".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_three_radices() {
        assert_eq!(parse("24"), Ok(24));
        assert_eq!(parse("0x1_8"), Ok(24));
        assert_eq!(parse("0b1_1000"), Ok(24));
        assert_eq!(parse("0xffff_ffff_ffff_ffff"), Ok(u64::MAX));
    }

    #[test]
    fn non_number_is_refused() {
        for text in ["", "x", "-1", "+1", "0x", "0x+1", "0b2", "1.5", "_", "é"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn number_over_64_bits_is_refused() {
        assert!(parse("0x1_0000_0000_0000_0000").is_err());
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("512"), Ok(512));
        assert_eq!(size("64K"), Ok(65_536));
        assert_eq!(size("1m"), Ok(1 << 20));
        assert_eq!(size("0x2G"), Ok(2 << 30));
    }

    #[test]
    fn zero_or_too_large_size_is_refused() {
        assert!(size("0").is_err());
        assert!(size("K").is_err());
        assert!(size("0xffffffffffffffffK").is_err());
    }

    #[test]
    fn times_are_finite_and_may_be_fractions() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["0", "-1", "inf", "NaN", "1e9", "soon"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn widths_are_those_of_the_data_sheet() {
        assert_eq!("8".parse(), Ok(Width::U64));
        assert!("3".parse::<Width>().is_err());
        assert!("0".parse::<Width>().is_err());
    }
}
