// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Decoding of accesses of BAR 0: the registers that they reach, and their rights (data sheet 3).

use ringbar_spec::access::Access;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::layout::KICK_PAGES;
use ringbar_spec::regs::Register;

/// Direction of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// Registers that a valid access reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A command register as a whole, by index in its array.
    Command(Register, usize),
    /// Parts of one plain register, or of two neighbours. Registers have at least four bytes and
    /// accesses at most eight, so there is no third.
    Plain(Span, Option<Span>),
}

/// The bytes of a register that an access covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) register: Register,
    /// Index in its array; 0 if it is none.
    pub(crate) index: usize,
    /// First byte in the register.
    byte: usize,
    /// First byte in the access.
    position: usize,
    /// Number of bytes.
    length: usize,
}

impl Span {
    /// Returns the bits of the register that are covered.
    pub(crate) fn mask(&self) -> u64 {
        (u64::MAX >> (64 - 8 * self.length)) << (8 * self.byte)
    }

    /// Takes the register's part out of the value of a whole access.
    pub(crate) fn to_register(self, access: u64) -> u64 {
        access >> (8 * self.position) << (8 * self.byte) & self.mask()
    }

    /// Moves the register's part to its position in the value of a whole access.
    pub(crate) fn to_access(self, register: u64) -> u64 {
        (register & self.mask()) >> (8 * self.byte) << (8 * self.position)
    }

    /// Returns the span of the register at `offset`, for an access that goes on for `left` bytes.
    fn at(offset: usize, position: usize, left: usize) -> Option<Self> {
        Register::ALL.iter().find_map(|&register| {
            let info = register.info();
            let (index, byte) = info.locate(offset)?;
            Some(Self {
                register,
                index,
                byte,
                position,
                length: left.min(info.width - byte),
            })
        })
    }

    /// Checks whether the register is a command, which is accessed as a whole and alone.
    fn is_command(&self) -> bool {
        matches!(self.register.access(), Access::WriteOnly | Access::Command)
    }

    /// Checks whether the register refuses writes.
    fn is_read_only(&self) -> bool {
        self.register.access() == Access::ReadOnly
    }

    /// Checks whether a trapped access may reach the register, in a device of `queues` queues.
    fn is_there(&self, queues: u16) -> bool {
        // The kick page of a queue that the device does not have holds no register (data sheet 3).
        let kick_page = self.register.info().offset >= KICK_PAGES;
        !kick_page || self.index < usize::from(queues)
    }

    /// Checks whether the access covers the register as a whole.
    fn is_whole(&self) -> bool {
        self.length == self.register.info().width
    }
}

/// Returns the registers that the `width` bytes at `offset` reach, in a device of `queues` queues.
///
/// The checks are made in the order of data sheet 3, which decides on the code of an access that
/// breaks several rules.
pub(crate) fn decode(
    offset: u64,
    width: usize,
    direction: Direction,
    queues: u16,
) -> Result<Target, ErrorCode> {
    // Data sheet 3, check 1.
    if !matches!(width, 1 | 2 | 4 | 8) {
        return Err(ErrorCode::BAD_WIDTH);
    }
    // Data sheet 3, check 2.
    if !offset.is_multiple_of(width as u64) {
        return Err(ErrorCode::BAD_ALIGNMENT);
    }
    // Data sheet 3, check 3: each byte must belong to a register.
    let offset = usize::try_from(offset).map_err(|_| ErrorCode::RESERVED_REGISTER)?;
    let find = |position: usize| {
        offset
            .checked_add(position)
            .and_then(|offset| Span::at(offset, position, width - position))
            .filter(|span| span.is_there(queues))
            .ok_or(ErrorCode::RESERVED_REGISTER)
    };
    let first = find(0)?;
    let second = if first.length < width {
        Some(find(first.length)?)
    } else {
        None
    };

    // Data sheet 3, check 4, before the rights: a part of a command is `BAD_WIDTH` in both
    // directions.
    let both = || [Some(first), second].into_iter().flatten();
    if both().any(|span| span.is_command()) {
        if second.is_some() || !first.is_whole() {
            return Err(ErrorCode::BAD_WIDTH);
        }
        // Data sheet 3, check 5.
        if direction == Direction::Read && first.register.access() == Access::WriteOnly {
            return Err(ErrorCode::WRITE_ONLY);
        }
        return Ok(Target::Command(first.register, first.index));
    }
    // Data sheet 3, check 5: one read-only byte is enough. Otherwise a write would be carried out
    // in part.
    if direction == Direction::Write && both().any(|span| span.is_read_only()) {
        return Err(ErrorCode::READ_ONLY);
    }
    Ok(Target::Plain(first, second))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No two neighbours can be written today, so no test of the device reaches this.
    #[test]
    fn second_of_two_neighbours_gets_its_part_of_the_value() {
        let target = decode(0, 8, Direction::Read, 1);

        let Ok(Target::Plain(first, Some(second))) = target else {
            panic!("{target:?}");
        };
        let parts = [first, second].map(|span| span.to_register(0x8877_6655_4433_2211));
        assert_eq!(parts, [0x4433_2211, 0x8877_6655]);
    }

    #[test]
    fn kick_page_behind_the_last_queue_has_no_register() {
        let second_queue = (KICK_PAGES + ringbar_spec::layout::PAGE_STRIDE) as u64;

        let of_one = decode(second_queue, 4, Direction::Read, 1);
        let of_two = decode(second_queue, 4, Direction::Read, 2);

        assert_eq!(of_one.unwrap_err(), ErrorCode::RESERVED_REGISTER);
        assert!(of_two.is_ok(), "{of_two:?}");
    }
}
