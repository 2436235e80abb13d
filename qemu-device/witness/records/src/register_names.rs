// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Names of the registers of another device than ringbar's. The server of such a device prints
//! them, one line per register: `BAR OFFSET NAME`, as in `0 0x0c START`.

use std::collections::BTreeMap;

use ringbar_marks::BARS;
use thiserror::Error;

use crate::place::{Place, Space};

/// Bytes of a register. A wider one has a line for each of its parts.
const WIDTH: u64 = 4;

/// Names by BAR and offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegisterNames(BTreeMap<(u32, u64), String>);

/// A line that names no register.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "line {number}, {text:?}: write BAR OFFSET NAME of another register, as in `0 0x0c START`: the \
     BAR from 0 to {last}, the offset a multiple of {WIDTH} in hexadecimal, the name of letters, \
     digits and _",
    last = BARS - 1
)]
pub struct WrongLine {
    number: usize,
    text: String,
}

impl RegisterNames {
    /// Parses lines.
    ///
    /// # Errors
    ///
    /// Fails at the first line that names no register, or one that an earlier line names.
    pub fn parse(text: &str) -> Result<Self, WrongLine> {
        let mut names = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let wrong = || WrongLine {
                number,
                text: line.to_owned(),
            };
            let (place, name) = register(line).ok_or_else(wrong)?;
            if names.insert(place, name.to_owned()).is_some() {
                return Err(wrong());
            }
        }
        Ok(Self(names))
    }

    /// Returns whether a BAR has registers.
    pub fn has_bar(&self, bar: u32) -> bool {
        self.0.range((bar, 0)..=(bar, u64::MAX)).next().is_some()
    }

    /// Returns the place at `offset` of BAR `bar`. An access that traps goes to a register, also
    /// where none has a name: it is `BAR0+0x40` then. Any other one goes to memory of the device.
    pub fn place(&self, bar: u32, offset: u64, trapped: bool) -> Place {
        let (space, name) = match self.name(bar, offset) {
            Some(name) => (Space::Register, name),
            None if trapped => (Space::Register, format!("BAR{bar}+{offset:#x}")),
            None => (Space::Memory, String::new()),
        };
        Place {
            space,
            name,
            offset,
        }
    }

    /// Returns the name of the register with this byte, and the byte if it is not the first:
    /// `START+1`.
    fn name(&self, bar: u32, offset: u64) -> Option<String> {
        let (byte, first) = (offset % WIDTH, offset - offset % WIDTH);
        let name = self.0.get(&(bar, first))?;
        Some(match byte {
            0 => name.clone(),
            _ => format!("{name}+{byte}"),
        })
    }
}

/// Parses a line.
fn register(line: &str) -> Option<((u32, u64), &str)> {
    let mut words = line.split_whitespace();
    let bar: u32 = words.next()?.parse().ok()?;
    let digits = words.next()?.strip_prefix("0x")?;
    let offset = u64::from_str_radix(digits, 16).ok()?;
    let name = words.next()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let good = (bar as usize) < BARS
        && offset % WIDTH == 0
        && name.chars().all(plain)
        && words.next().is_none();
    good.then_some(((bar, offset), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> RegisterNames {
        RegisterNames::parse("0 0x0c START\n0 0x10 SUM\n2 0x0 LEVEL\n").expect("names")
    }

    #[test]
    fn register_has_the_name_of_its_line() {
        let place = names().place(0, 0x10, true);

        assert_eq!((place.space, place.offset), (Space::Register, 0x10));
        assert_eq!(place.name, "SUM");
        assert_eq!(names().place(2, 0, true).name, "LEVEL");
    }

    #[test]
    fn byte_of_a_register_is_told() {
        assert_eq!(names().place(0, 0xe, true).name, "START+2");
    }

    #[test]
    fn access_that_traps_without_a_name_is_told_by_its_offset() {
        let place = names().place(0, 0x14, true);

        assert_eq!(place.space, Space::Register);
        assert_eq!(
            (place.name.as_str(), place.register()),
            ("BAR0+0x14", "BAR0")
        );
    }

    #[test]
    fn other_access_goes_to_memory() {
        assert_eq!(names().place(4, 0x14, false).space, Space::Memory);
    }

    #[test]
    fn bars_with_registers_are_known() {
        assert_eq!(
            [0, 1, 2].map(|bar| names().has_bar(bar)),
            [true, false, true]
        );
    }

    #[test]
    fn wrong_line_is_told_with_its_number() {
        for line in [
            "",
            "0 0x0",
            "6 0x0 A",
            "0 16 A",
            "0 0x2 A",
            "0 0x0 A B",
            "0 0x0 A-B",
            "0 0x10 SUM",
        ] {
            let text = format!("0 0x10 FIRST\n{line}\n");

            let error = RegisterNames::parse(&text).expect_err(line);

            assert!(error
                .to_string()
                .starts_with(&format!("line 2, {line:?}: ")));
        }
    }
}
