// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Places of registers, by name or offset. Only places that a process can map are accepted.

use crate::number;
use ringbar_spec::layout::{
    ADMIN_PAGE, DOORBELL_PAGES, KICK_PAGES, PAGE_LENGTH, PUBLIC_PAGE, REGISTER_BAR_SIZE,
    REPORT_PAGE,
};
use ringbar_spec::regs::Register;
use std::str::FromStr;

/// A place in the page of public registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegisterPlace {
    /// A register.
    Register(Register),
    /// An offset, with or without a register there.
    Offset(usize),
}

impl RegisterPlace {
    /// Returns the offset in BAR 0.
    pub(crate) fn offset(self) -> usize {
        match self {
            Self::Register(register) => register.info().offset,
            Self::Offset(offset) => offset,
        }
    }

    /// Returns the register that begins there.
    pub(crate) fn register(self) -> Option<Register> {
        match self {
            Self::Register(register) => Some(register),
            Self::Offset(offset) => public().find(|register| register.info().offset == offset),
        }
    }
}

/// Returns all public registers, by offset.
pub(crate) fn public() -> impl Iterator<Item = Register> {
    let all = Register::ALL.iter().copied();
    all.filter(|register| is_public(register.info().offset))
}

/// Returns whether an offset lies in the page of public registers.
fn is_public(offset: usize) -> bool {
    (PUBLIC_PAGE..PUBLIC_PAGE + PAGE_LENGTH).contains(&offset)
}

impl FromStr for RegisterPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let place = if text.starts_with(|first: char| first.is_ascii_digit()) {
            let offset = number::parse(text)?;
            Self::Offset(usize::try_from(offset).map_err(|error| error.to_string())?)
        } else {
            let name = |register: &&Register| register.info().name.eq_ignore_ascii_case(text);
            Self::Register(*Register::ALL.iter().find(name).ok_or_else(|| {
                let names: Vec<_> = public().map(|register| register.info().name).collect();
                format!("no such register; there are {}", names.join(", "))
            })?)
        };
        if is_public(place.offset()) {
            Ok(place)
        } else {
            Err(why_not(place.offset()).to_owned())
        }
    }
}

/// Returns the reason for which no process can access a place outside the public page.
fn why_not(offset: usize) -> &'static str {
    match offset {
        PAGE_LENGTH..ADMIN_PAGE => "behind the public registers, which end at 0xfff",
        ADMIN_PAGE..KICK_PAGES => {
            "registers from 0x10000 on are the driver's alone; no process may map them"
        }
        KICK_PAGES..REPORT_PAGE => {
            "a kick page can be mapped only by the process that owns the queue; \
             `ringbarctl watch` shows how many queues there are"
        }
        REPORT_PAGE..DOORBELL_PAGES => {
            "the report page is the driver's alone; no process may map it"
        }
        DOORBELL_PAGES..REGISTER_BAR_SIZE => {
            "a doorbell or status page can be mapped only by the process that owns the queue; \
             `ringbarctl watch` shows how many queues there are"
        }
        _ => "beyond the end of BAR 0, which has 0x1000000 bytes; public registers end at 0xfff",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_refused(text: &str, reason: &str) {
        let error = text.parse::<RegisterPlace>().expect_err("refused");
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn name_in_any_case_is_the_register() {
        for name in ["SCRATCH", "scratch"] {
            let place = name.parse();
            assert_eq!(place, Ok(RegisterPlace::Register(Register::SCRATCH)));
        }
    }

    #[test]
    fn offset_of_a_register_knows_its_name() {
        let place: RegisterPlace = "0x18".parse().expect("a place");

        assert_eq!(place, RegisterPlace::Offset(0x18));
        assert_eq!(place.register(), Some(Register::SCRATCH));
    }

    #[test]
    fn offset_inside_a_register_has_no_name() {
        let place: RegisterPlace = "0x1c".parse().expect("a place");

        assert_eq!(place.register(), None);
    }

    #[test]
    fn unknown_name_is_refused_with_the_list() {
        assert_refused("scrach", "there are IDENT, VERSION, ");
    }

    #[test]
    fn unmappable_pages_are_refused_with_the_reason() {
        assert_refused("IRQ_MASK", "driver's alone");
        assert_refused("0x2000", "end at 0xfff");
        assert_refused("0x10000", "driver's alone");
        assert_refused("KICK", "owns the queue");
        assert_refused("0x7f0000", "report page");
        assert_refused("0xc00000", "owns the queue");
        assert_refused("0x1000000", "end of BAR 0");
        assert_refused("0xffffffffffffffff", "end of BAR 0");
    }

    #[test]
    fn last_public_offset_is_a_place() {
        assert_eq!("0xfff".parse(), Ok(RegisterPlace::Offset(0xfff)));
    }
}
