// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Who may read and write which register, and what it holds after a reset.

use crate::ids;
use crate::regs::{Register, KICK_ANSWER};
use crate::ring::Opcode;
use Access::{
    Command, DeviceShared, DriverShared, ReadOnly, ReadWrite, WriteOneToClear, WriteOnly,
};

/// What reads and writes of a register do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read-only: a write is dropped and logged.
    ReadOnly,
    /// Keeps the bits that have a field; a part of it can be written.
    ReadWrite,
    /// Writing 1 clears a bit, 0 leaves it.
    WriteOneToClear,
    /// A command: written as a whole or not at all, reads are logged and give 0.
    WriteOnly,
    /// A command that can be read too: written as a whole, answers a fixed word.
    Command,
    /// Shared memory that the driver side writes.
    DriverShared,
    /// Shared memory that the device side writes.
    DeviceShared,
}

impl Access {
    /// Short form, as in the data sheet.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "RO",
            Self::ReadWrite => "RW",
            Self::WriteOneToClear => "RW1C",
            Self::WriteOnly => "WO",
            Self::Command => "CMD",
            Self::DriverShared => "shared, driver writes",
            Self::DeviceShared => "shared, device writes",
        }
    }
}

/// Major version in the high half, minor version in the low one.
const VERSION: u64 = (ids::VERSION_MAJOR as u64) << 16 | ids::VERSION_MINOR as u64;

/// Bit n for opcode n.
const FEATURES: u64 = {
    let (mut bits, mut i) = (0, 0);
    while i < Opcode::ALL.len() {
        bits |= 1 << Opcode::ALL[i].0 .0;
        i += 1;
    }
    bits
};

/// What reads and writes of each register do, and what it holds after power-on and every reset. No value stands for
/// one that is not the same for every device and every time: limits are the device's own, generations step.
/// In the order of [`Register::ALL`].
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
    (Register::SUBMISSION_TAIL, DriverShared, Some(0)),
    (Register::SUBMISSION_INLINE, DriverShared, Some(0)),
    (Register::INLINE_DESCRIPTOR_0, DriverShared, Some(0)),
    (Register::INLINE_DESCRIPTOR_1, DriverShared, Some(0)),
    (Register::INLINE_DESCRIPTOR_2, DriverShared, Some(0)),
    (Register::INLINE_DESCRIPTOR_3, DriverShared, Some(0)),
    (Register::INLINE_DESCRIPTOR_4, DriverShared, Some(0)),
    (Register::COMPLETION_HEAD, DriverShared, Some(0)),
    (Register::INTERRUPT_AT, DriverShared, Some(0)),
    (Register::DRIVER_INTERRUPT_AT, DriverShared, Some(0)),
    (Register::COMPLETION_TAIL, DeviceShared, Some(0)),
    (Register::INLINE_COMPLETION_0, DeviceShared, Some(0)),
    (Register::INLINE_COMPLETION_1, DeviceShared, Some(0)),
    (Register::SLEEPING, DeviceShared, Some(0)),
    (Register::QUEUE_STATE, DeviceShared, Some(0)),
    (Register::GENERATION, DeviceShared, None),
    (Register::HEARTBEAT, DeviceShared, Some(0)),
];

/// A row in the wrong place would be that of another register.
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
    /// Returns what reads and writes of the register do.
    pub const fn access(self) -> Access {
        TABLE[self as usize].1
    }

    /// Returns the value after power-on and every reset, where it is the same for every device.
    pub const fn reset_value(self) -> Option<u64> {
        TABLE[self as usize].2
    }
}
