// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Access and reset value of each register (data sheet 3, 4 and 12).

use crate::ids;
use crate::regs::{Register, KICK_ANSWER};
use crate::ring::Opcode;
use Access::{Command, ReadOnly, ReadWrite, WriteOneToClear, WriteOnly};

/// Effect of reads and writes on a register (data sheet 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read-only: the device drops a write and logs it.
    ReadOnly,
    /// Keeps the bits that have a field. A write may cover a part of the register.
    ReadWrite,
    /// Writing 1 clears a bit, writing 0 leaves it.
    WriteOneToClear,
    /// A command: written as a whole or not at all. The device logs a read and returns 0.
    WriteOnly,
    /// A command that can be read too: written as a whole, and read as a fixed word.
    Command,
}

impl Access {
    /// Returns the short form, as in the data sheet.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "RO",
            Self::ReadWrite => "RW",
            Self::WriteOneToClear => "RW1C",
            Self::WriteOnly => "WO",
            Self::Command => "CMD",
        }
    }
}

/// Version of the interface: the major version in the high half, the minor one in the low half.
const VERSION: u64 = (ids::VERSION_MAJOR as u64) << 16 | ids::VERSION_MINOR as u64;

/// Bit n for opcode n. Computed from the list of opcodes, so that a new opcode cannot be forgotten
/// here.
const FEATURES: u64 = {
    let (mut bits, mut i) = (0, 0);
    while i < Opcode::ALL.len() {
        bits |= 1 << Opcode::ALL[i].0 .0;
        i += 1;
    }
    bits
};

/// Access of each register, and its value after power-on and every reset (data sheet 4).
///
/// `None` stands for a value that differs between devices or between resets: limits and the
/// boot number are the device's own, generations step. The rows are in the order of [`Register::ALL`].
#[rustfmt::skip]
const TABLE: [(Register, Access, Option<u64>); Register::ALL.len()] = [
    (Register::IDENT, ReadOnly, Some(ids::IDENT as u64)),
    (Register::VERSION, ReadOnly, Some(VERSION)),
    (Register::FEATURES, ReadOnly, Some(FEATURES)),
    (Register::STATUS, ReadOnly, Some(1)),
    (Register::IRQ_CAUSE, WriteOneToClear, Some(0)),
    (Register::SCRATCH, ReadWrite, Some(0)),
    (Register::COUNTER, ReadOnly, Some(0)),
    (Register::RESET_GENERATION, ReadOnly, None),
    (Register::ERROR_COUNT, ReadOnly, Some(0)),
    (Register::ERROR_LAST, ReadOnly, Some(0xffff_0000)),
    (Register::ERROR_VALUE, ReadOnly, Some(0)),
    (Register::QUEUE_LIMITS, ReadOnly, None),
    (Register::WINDOW_LIMITS, ReadOnly, None),
    (Register::LENGTH_LIMIT, ReadOnly, None),
    (Register::BOOT_NUMBER, ReadOnly, None),
    (Register::RESET, WriteOnly, Some(0)),
    (Register::IRQ_MASK, ReadWrite, Some(0)),
    (Register::ADMIN_STATUS, ReadOnly, Some(0)),
    (Register::ERROR_CLEAR, WriteOnly, Some(0)),
    (Register::QUEUE_START, WriteOnly, Some(0)),
    (Register::WINDOW_OPEN, WriteOnly, Some(0)),
    (Register::QUEUE_STOP, WriteOnly, Some(0)),
    (Register::WINDOW_CLOSE, WriteOnly, Some(0)),
    (Register::ERROR_LOG_ENTRY, ReadOnly, Some(0)),
    (Register::ERROR_LOG_VALUE, ReadOnly, Some(0)),
    (Register::KICK, Command, Some(KICK_ANSWER as u64)),
    (Register::QUEUE_ERRORS, ReadOnly, Some(0)),
    (Register::INTERRUPT_MODERATION, ReadWrite, Some(0)),
];

/// The order of the rows is checked at compile time. Otherwise a misplaced row would silently give
/// its access to another register.
const _: () = {
    let mut i = 0;
    while i < TABLE.len() {
        assert!(
            TABLE[i].0 as usize == i,
            "TABLE is not in the order of Register::ALL"
        );
        i += 1;
    }
};

impl Register {
    /// Returns the effect of reads and writes on the register.
    pub const fn access(self) -> Access {
        TABLE[self as usize].1
    }

    /// Returns the value after power-on and every reset. `None` if devices or resets differ in it.
    pub const fn reset_value(self) -> Option<u64> {
        TABLE[self as usize].2
    }
}
