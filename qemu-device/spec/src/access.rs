// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Who may read and write which register, and what it holds after a reset.

use crate::ids;
use crate::regs::{Register, KICK_ANSWER};

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

impl Register {
    /// What reads and writes of the register do.
    pub const fn access(self) -> Access {
        match self {
            Self::IDENT
            | Self::VERSION
            | Self::FEATURES
            | Self::STATUS
            | Self::COUNTER
            | Self::RESET_GENERATION
            | Self::ERROR_COUNT
            | Self::ERROR_LAST
            | Self::ERROR_VALUE
            | Self::QUEUE_LIMITS
            | Self::WINDOW_LIMITS
            | Self::LENGTH_LIMIT
            | Self::ADMIN_STATUS
            | Self::ERROR_LOG_ENTRY
            | Self::ERROR_LOG_VALUE
            | Self::QUEUE_ERRORS => Access::ReadOnly,
            Self::SCRATCH | Self::IRQ_MASK | Self::INTERRUPT_MODERATION => Access::ReadWrite,
            Self::IRQ_CAUSE => Access::WriteOneToClear,
            Self::RESET
            | Self::ERROR_CLEAR
            | Self::QUEUE_START
            | Self::WINDOW_OPEN
            | Self::QUEUE_STOP
            | Self::WINDOW_CLOSE => Access::WriteOnly,
            Self::KICK => Access::Command,
            Self::SUBMISSION_TAIL
            | Self::SUBMISSION_INLINE
            | Self::INLINE_DESCRIPTOR_0
            | Self::INLINE_DESCRIPTOR_1
            | Self::INLINE_DESCRIPTOR_2
            | Self::INLINE_DESCRIPTOR_3
            | Self::INLINE_DESCRIPTOR_4
            | Self::COMPLETION_HEAD
            | Self::INTERRUPT_AT
            | Self::DRIVER_INTERRUPT_AT => Access::DriverShared,
            Self::COMPLETION_TAIL
            | Self::INLINE_COMPLETION_0
            | Self::INLINE_COMPLETION_1
            | Self::SLEEPING
            | Self::QUEUE_STATE
            | Self::GENERATION
            | Self::HEARTBEAT => Access::DeviceShared,
        }
    }

    /// Value after power-on and every reset, where it is the same for every device.
    ///
    /// `None` for limits, which are the device's own, and for the reset generation, which steps.
    pub const fn reset_value(self) -> Option<u64> {
        match self {
            Self::IDENT => Some(ids::IDENT as u64),
            Self::VERSION => Some((ids::VERSION_MAJOR as u64) << 16 | ids::VERSION_MINOR as u64),
            // Bits 0 to 5: the six opcodes of `ring::Opcode::ALL`, which a test compares.
            Self::FEATURES => Some(0x3f),
            Self::STATUS => Some(1),
            Self::ERROR_LAST => Some(0xffff_0000),
            Self::KICK => Some(KICK_ANSWER as u64),
            Self::RESET_GENERATION
            | Self::GENERATION
            | Self::QUEUE_LIMITS
            | Self::WINDOW_LIMITS
            | Self::LENGTH_LIMIT => None,
            Self::IRQ_CAUSE
            | Self::SCRATCH
            | Self::COUNTER
            | Self::ERROR_COUNT
            | Self::ERROR_VALUE
            | Self::RESET
            | Self::IRQ_MASK
            | Self::ADMIN_STATUS
            | Self::ERROR_CLEAR
            | Self::QUEUE_START
            | Self::WINDOW_OPEN
            | Self::QUEUE_STOP
            | Self::WINDOW_CLOSE
            | Self::SUBMISSION_TAIL
            | Self::SUBMISSION_INLINE
            | Self::INLINE_DESCRIPTOR_0
            | Self::INLINE_DESCRIPTOR_1
            | Self::INLINE_DESCRIPTOR_2
            | Self::INLINE_DESCRIPTOR_3
            | Self::INLINE_DESCRIPTOR_4
            | Self::COMPLETION_HEAD
            | Self::INTERRUPT_AT
            | Self::DRIVER_INTERRUPT_AT
            | Self::COMPLETION_TAIL
            | Self::INLINE_COMPLETION_0
            | Self::INLINE_COMPLETION_1
            | Self::SLEEPING
            | Self::QUEUE_STATE
            | Self::HEARTBEAT
            | Self::ERROR_LOG_ENTRY
            | Self::ERROR_LOG_VALUE
            | Self::QUEUE_ERRORS
            | Self::INTERRUPT_MODERATION => Some(0),
        }
    }
}
