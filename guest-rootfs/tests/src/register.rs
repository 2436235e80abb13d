// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Compares registers. A failure shows the register's name and hexadecimal values, which its reader
//! looks up in the data sheet.

use ringbar_client::Word;
use ringbar_spec::names::NamedByte;
use ringbar_spec::RegisterInfo;
use std::fmt;

/// Compares the result of a read of the register BAR at `offset`.
///
/// # Panics
///
/// If it is not `expected`. The message has the register's name and both values: `IDENT: read 0x0,
/// not 0x52414252`.
#[track_caller]
pub fn expect_register<W: Word + Into<u64>>(offset: usize, read: W, expected: W) {
    let (read, expected) = (read.into(), expected.into());
    let access = Access {
        offset,
        width: size_of::<W>(),
    };
    let fields = access.fields(read, expected);
    assert!(
        read == expected,
        "{access}: read {read:#x}, not {expected:#x}{fields}"
    );
}

/// Compares one field of a register that was read as a whole.
///
/// # Panics
///
/// If it is not `expected`, with a message like that of [`expect_register`]: `VERSION.major: read
/// 0x3, not 0x2; VERSION was 0x30003`.
///
/// Also if the register has no such field, which is an error in the test program.
#[track_caller]
pub fn expect_field(
    info: &RegisterInfo,
    read: impl Into<u64>,
    name: &str,
    expected: impl Into<u64>,
) {
    let (raw, expected) = (read.into(), expected.into());
    let register = info.name;
    let field = info.fields.iter().find(|field| field.name == name);
    let field = field.unwrap_or_else(|| panic!("{register} has no field {name}"));
    let read = (raw & field.mask()) >> field.low;
    assert!(
        read == expected,
        "{register}.{name}: read {read:#x}, not {expected:#x}; {register} was {raw:#x}"
    );
}

/// Offset and width of one access to the register BAR.
struct Access {
    offset: usize,
    width: usize,
}

impl Access {
    /// Returns the named byte that is the first byte of the access.
    fn named_byte(&self) -> Option<NamedByte> {
        NamedByte::at(self.offset as u64)
    }

    /// Returns the fields that differ, if a register with several fields was read as a whole.
    fn fields(&self, read: u64, expected: u64) -> String {
        let whole = self.named_byte().filter(|NamedByte { info, byte, .. }| {
            *byte == 0 && info.width == self.width && info.fields.len() > 1
        });
        let fields = whole.map_or(&[][..], |byte| byte.info.fields);
        let values = fields.iter().filter_map(|field| {
            let of = |value: u64| (value & field.mask()) >> field.low;
            let (read, expected) = (of(read), of(expected));
            let name = field.name;
            (read != expected).then(|| format!("{name} {read:#x}, not {expected:#x}"))
        });
        match values.collect::<Vec<_>>().join("; ") {
            values if values.is_empty() => values,
            values => format!(" ({values})"),
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, width } = self;
        let Some(byte) = self.named_byte() else {
            return write!(f, "reserved offset {offset:#x}, width {width}");
        };
        write!(f, "{byte}")?;
        if *width != byte.info.width {
            write!(f, ", width {width}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringbar_spec::regs::{IDENT, STATUS, VERSION};
    use std::panic::{catch_unwind, UnwindSafe};

    /// Returns the message of a comparison that fails.
    fn message_of(compare: impl FnOnce() + UnwindSafe) -> String {
        let panic = catch_unwind(compare).expect_err("it fails");
        *panic.downcast::<String>().expect("a text")
    }

    #[test]
    fn different_register_is_reported_by_name_and_in_hex() {
        let message = message_of(|| expect_register(IDENT::INFO.offset, 0u32, 0x5241_4252));

        assert_eq!(message, "IDENT: read 0x0, not 0x52414252");
    }

    #[test]
    fn different_fields_are_reported_too() {
        let message = message_of(|| expect_register(STATUS::INFO.offset, 0x1u32, 0x3));

        assert_eq!(
            message,
            "STATUS: read 0x1, not 0x3 (bus_master 0x0, not 0x1)"
        );
    }

    #[test]
    fn part_of_a_register_is_reported_by_its_offset_and_width() {
        let message = message_of(|| expect_register(IDENT::INFO.offset + 2, 0u8, 0x41));

        assert_eq!(message, "IDENT+2, width 1: read 0x0, not 0x41");
    }

    #[test]
    fn reserved_offset_is_reported_as_a_number() {
        let message = message_of(|| expect_register(0x800, 7u16, 0));

        assert_eq!(message, "reserved offset 0x800, width 2: read 0x7, not 0x0");
    }

    #[test]
    fn different_field_is_reported_with_its_register() {
        let message = message_of(|| expect_field(&VERSION::INFO, 0x3_0004u32, "major", 2u32));

        assert_eq!(
            message,
            "VERSION.major: read 0x3, not 0x2; VERSION was 0x30004"
        );
    }

    #[test]
    fn expected_value_passes() {
        expect_register(IDENT::INFO.offset, 1u64, 1);
        expect_field(&VERSION::INFO, 0x2_0003u32, "minor", 3u32);
    }
}
