// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `peek` and `poke`: public registers through a mapping of this process.

use crate::error::Error;
use crate::number::Width;
use crate::options::{Peek, Poke};
use crate::place::{self, RegisterPlace};
use ringbar_client::{Device, Mapping};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::ids;
use ringbar_spec::layout::PAGE_LENGTH;
use ringbar_spec::regs::{Register, ERROR_COUNT, ERROR_LAST, ERROR_VALUE, IDENT, NO_QUEUE};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Registers that were read or written.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    registers: Vec<Value>,
}

/// Value at a place.
#[derive(Debug, Serialize)]
struct Value {
    /// Offset in BAR 0.
    offset: usize,
    /// Name of the register that begins there.
    name: Option<&'static str>,
    width: usize,
    value: u64,
    /// Value of each field, if the access covers the whole register.
    fields: BTreeMap<&'static str, u64>,
}

/// Reads registers. All places are checked before the first access.
pub(crate) fn peek(node: &Path, peek: &Peek) -> Result<Answer, Error> {
    let all: Vec<_> = place::public().map(RegisterPlace::Register).collect();
    let places = if peek.places.is_empty() {
        &all
    } else {
        &peek.places
    };
    let accesses = places.iter().map(|place| Access::new(*place, peek.width));
    let accesses: Vec<_> = accesses.collect::<Result<_, _>>()?;
    let registers = Registers::map(node)?;
    let values = accesses.iter().map(|access| {
        let value = registers.watched(access, || registers.read(access))?;
        Ok(access.value(value))
    });
    Ok(Answer {
        registers: values.collect::<Result<_, Error>>()?,
    })
}

/// Writes a register.
pub(crate) fn poke(node: &Path, poke: &Poke) -> Result<Answer, Error> {
    let access = Access::new(poke.place, poke.width)?;
    if poke.value > access.width.max() {
        return Err(Error::TooLarge {
            value: poke.value,
            width: access.width,
        });
    }
    let registers = Registers::map(node)?;
    registers.watched(&access, || registers.write(&access, poke.value))?;
    Ok(Answer {
        registers: vec![access.value(poke.value)],
    })
}

/// An aligned access inside the page.
#[derive(Debug)]
struct Access {
    offset: usize,
    width: Width,
    register: Option<Register>,
}

impl Access {
    /// Checks the place. The width defaults to that of the register, or to 4 bytes.
    fn new(place: RegisterPlace, width: Option<Width>) -> Result<Self, Error> {
        let register = place.register();
        let own = register.and_then(|register| Width::of(register.info().width));
        let width = width.or(own).unwrap_or(Width::U32);
        let offset = place.offset();
        if !offset.is_multiple_of(width.bytes()) {
            return Err(Error::Alignment { offset, width });
        }
        if offset
            .checked_add(width.bytes())
            .is_none_or(|end| end > PAGE_LENGTH)
        {
            return Err(Error::Beyond { offset, width });
        }
        Ok(Self {
            offset,
            width,
            register,
        })
    }

    /// Returns the meaning of a value at this place.
    fn value(&self, value: u64) -> Value {
        let info = self.register.map(Register::info);
        let whole = info.filter(|info| info.width == self.width.bytes());
        let fields = whole.map_or(&[][..], |info| info.fields);
        let field = |field: &ringbar_spec::Field| (field.name, (value & field.mask()) >> field.low);
        Value {
            offset: self.offset,
            name: info.map(|info| info.name),
            width: self.width.bytes(),
            value,
            fields: fields.iter().map(field).collect(),
        }
    }
}

/// Fails if the server of the device has ended. All its registers then read as ones.
pub(crate) fn check(registers: &Mapping) -> Result<(), Error> {
    match registers.read(IDENT::INFO.offset) {
        ids::IDENT => Ok(()),
        answer => Err(ringbar_client::Error::ServerGone { answer }.into()),
    }
}

/// The mapped page of public registers.
struct Registers(Mapping);

impl Registers {
    /// Maps the page.
    fn map(node: &Path) -> Result<Self, Error> {
        let device = Device::open(node)?;
        let mapping = device.map_public_registers().map_err(Error::Registers)?;
        check(&mapping)?;
        Ok(Self(mapping))
    }

    /// Reads a register with the width of the access.
    fn read(&self, access: &Access) -> u64 {
        match access.width {
            Width::U8 => self.0.read::<u8>(access.offset).into(),
            Width::U16 => self.0.read::<u16>(access.offset).into(),
            Width::U32 => self.0.read::<u32>(access.offset).into(),
            Width::U64 => self.0.read(access.offset),
        }
    }

    /// Writes a register with the width of the access.
    fn write(&self, access: &Access, value: u64) {
        match access.width {
            Width::U8 => self.0.write(access.offset, value as u8),
            Width::U16 => self.0.write(access.offset, value as u16),
            Width::U32 => self.0.write(access.offset, value as u32),
            Width::U64 => self.0.write(access.offset, value),
        }
    }

    /// Carries out an access. Fails if the server has ended by then, or if the device has logged an
    /// error for this access meanwhile.
    fn watched<T>(&self, access: &Access, act: impl FnOnce() -> T) -> Result<T, Error> {
        // The device does not answer an access with an error. Its log is the only sign of a
        // refusal.
        let before: u32 = self.0.read(ERROR_COUNT::INFO.offset);
        let done = act();
        check(&self.0)?;
        if self.0.read::<u32>(ERROR_COUNT::INFO.offset) == before {
            return Ok(done);
        }
        let last = ERROR_LAST::from_raw(self.0.read(ERROR_LAST::INFO.offset));
        let value: u64 = self.0.read(ERROR_VALUE::INFO.offset);
        // The error may belong to another process. It is this access's error only if its queue is
        // `NO_QUEUE` and its value is this offset.
        if last.queue() as u16 != NO_QUEUE || value != access.offset as u64 {
            return Ok(done);
        }
        Err(Error::AccessRefused {
            offset: access.offset,
            code: ErrorCode(last.code() as u16),
        })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for register in &self.registers {
            let Value {
                offset,
                width,
                value,
                ..
            } = register;
            let name = register.name.unwrap_or("-");
            let digits = width * 2;
            write!(f, "{offset:#05x}  {name:<16}  0x{value:0digits$x}")?;
            // A single field is the whole value already.
            if register.fields.len() > 1 {
                write!(f, "{:1$}", "", 16usize.saturating_sub(digits))?;
                for (name, value) in &register.fields {
                    write!(f, "  {name}={value}")?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a page of ones: the public registers have these values when there is no server.
    pub(crate) fn page_of_ones() -> Mapping {
        let page = Mapping::anonymous(PAGE_LENGTH).expect("there is memory");
        page.write_bytes(0, &[0xff; PAGE_LENGTH]);
        page
    }

    fn access(place: &str, width: Option<usize>) -> Result<Access, Error> {
        let place = place.parse().expect("a place");
        Access::new(place, width.and_then(Width::of))
    }

    #[test]
    fn register_is_accessed_as_a_whole() {
        assert_eq!(access("SCRATCH", None).expect("fine").width, Width::U64);
        assert_eq!(access("0x18", None).expect("fine").width, Width::U64);
        assert_eq!(access("0x1c", None).expect("fine").width, Width::U32);
    }

    #[test]
    fn access_that_is_not_aligned_is_refused() {
        let error = access("0x1", None).expect_err("refused");

        let text = "offset 0x1 is not a multiple of the width, 4 bytes";
        assert_eq!(error.to_string(), text);
        assert_eq!(error.status(), 2);
    }

    #[test]
    fn last_access_of_the_page_is_inside() {
        assert!(access("0xfff", Some(1)).is_ok());
        assert!(access("0xff8", Some(8)).is_ok());
    }

    #[test]
    fn access_to_a_device_without_a_server_is_an_error() {
        let registers = Registers(page_of_ones());
        let access = access("SCRATCH", None).expect("fine");

        let error = registers.watched(&access, || ()).expect_err("refused");

        let text = "the device has no server: it reads as 0xffffffff";
        assert_eq!(error.to_string(), text);
        assert!(error.advice().expect("advice").contains("start the server"));
    }

    #[test]
    fn access_to_a_device_that_identifies_itself_is_done() {
        let page = page_of_ones();
        page.write(IDENT::INFO.offset, ids::IDENT);
        let access = access("SCRATCH", None).expect("fine");

        let done = Registers(page).watched(&access, || 5);

        assert_eq!(done.expect("fine"), 5);
    }

    #[test]
    fn fields_are_shown_of_a_whole_register_only() {
        let whole = access("VERSION", None).expect("fine").value(0x0002_0001);
        let part = access("VERSION", Some(2)).expect("fine").value(1);

        assert_eq!(whole.fields, BTreeMap::from([("major", 2), ("minor", 1)]));
        assert!(part.fields.is_empty());
    }

    #[test]
    fn line_has_offset_name_value_and_fields() {
        let version = access("VERSION", None).expect("fine").value(0x0002_0001);
        let answer = Answer {
            registers: vec![version],
        };

        let line = "0x004  VERSION           0x00020001          major=2  minor=1\n";
        assert_eq!(answer.to_string(), line);
    }
}
