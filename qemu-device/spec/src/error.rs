// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Codes of the error log and of admin commands (data sheet 9). Shared with the kernel module.

/// Reason for which the device refused something. A driver may read any value; the constants have a
/// meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode(pub u16);

impl ErrorCode {
    /// No error.
    pub const NONE: Self = Self(0);

    // Register accesses. The logged value is the offset in BAR 0.

    /// No register has this offset. A read returns 0, a write is dropped.
    pub const RESERVED_REGISTER: Self = Self(1);
    /// The width is not 1, 2, 4 or 8 bytes, or a command register was not accessed as a whole and
    /// alone.
    pub const BAD_WIDTH: Self = Self(2);
    /// The offset is not a multiple of the width.
    pub const BAD_ALIGNMENT: Self = Self(3);
    /// The register is read-only; the write was dropped.
    pub const READ_ONLY: Self = Self(4);
    /// The register is write-only; the read gave 0.
    pub const WRITE_ONLY: Self = Self(5);
    /// The value has no meaning; the write was dropped. The logged value is that value.
    pub const BAD_VALUE: Self = Self(6);

    // Admin commands. The logged value is the field that was refused.

    /// Bus mastering is off, so the device may not read the block. Logged: its address.
    pub const BUS_MASTER_OFF: Self = Self(16);
    /// The block or its list cannot be reached. Logged: the block's address.
    pub const SETUP_UNREACHABLE: Self = Self(17);
    /// An address is not aligned to `setup::ALIGNMENT`. Logged: the address.
    pub const MISALIGNED: Self = Self(18);
    /// A field that must be 0 is not. Logged: the field.
    pub const RESERVED_FIELD: Self = Self(19);
    /// The queue does not exist. Logged: its number.
    pub const BAD_QUEUE: Self = Self(20);
    /// The queue runs already. Logged: its number.
    pub const QUEUE_RUNS: Self = Self(21);
    /// The queue does not run. Logged: its number.
    pub const QUEUE_STOPPED: Self = Self(22);
    /// The ring may not have this many entries, or passes 2^64 with them. Logged: the number.
    pub const BAD_ENTRIES: Self = Self(23);
    /// The interrupt vector does not exist. Logged: its number.
    pub const BAD_VECTOR: Self = Self(24);
    /// The window number does not exist. Logged: the number.
    pub const BAD_WINDOW: Self = Self(25);
    /// The window is open already. Logged: its number.
    pub const WINDOW_IS_OPEN: Self = Self(26);
    /// The window is not open. Logged: its number.
    pub const WINDOW_IS_CLOSED: Self = Self(27);
    /// The kind of window has no meaning. Logged: the kind.
    pub const BAD_KIND: Self = Self(28);
    /// The window has no rights, or unknown ones. Logged: the rights.
    pub const BAD_RIGHTS: Self = Self(29);
    /// The window has no segments, or more than the limit. Logged: the number.
    pub const BAD_SEGMENTS: Self = Self(30);
    /// A segment or window is empty or passes 2^64, or the lengths do not add up. Logged: the
    /// length of the segment or window.
    pub const BAD_LENGTH: Self = Self(31);
    /// The range leaves the device memory. Logged: its offset.
    pub const OUT_OF_BOUNDS: Self = Self(32);

    // Queues. The first four stop the queue. The logged value is given with each.

    /// The submission tail is further ahead than the ring has entries. Logged: the tail.
    pub const BAD_TAIL: Self = Self(48);
    /// The completion head is not between the last one seen and the tail. Logged: the head.
    pub const BAD_HEAD: Self = Self(49);
    /// An entry of the submission ring cannot be read. Logged: its address.
    pub const SUBMISSION_FAULT: Self = Self(50);
    /// An entry of the completion ring cannot be written. Logged: its address.
    pub const COMPLETION_FAULT: Self = Self(51);
    /// The device refused a descriptor, and its completion has the same status. Logged: status <<
    /// 32 | tag. The queue runs on.
    pub const DESCRIPTOR_REFUSED: Self = Self(52);
    /// Memory of a window cannot be reached, and a completion has a status for it. Logged: the
    /// first DMA address that cannot. The queue runs on.
    pub const MEMORY_FAULT: Self = Self(53);

    /// All codes with a meaning, with their names in the data sheet.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::NONE, "NONE"),
        (Self::RESERVED_REGISTER, "RESERVED_REGISTER"),
        (Self::BAD_WIDTH, "BAD_WIDTH"),
        (Self::BAD_ALIGNMENT, "BAD_ALIGNMENT"),
        (Self::READ_ONLY, "READ_ONLY"),
        (Self::WRITE_ONLY, "WRITE_ONLY"),
        (Self::BAD_VALUE, "BAD_VALUE"),
        (Self::BUS_MASTER_OFF, "BUS_MASTER_OFF"),
        (Self::SETUP_UNREACHABLE, "SETUP_UNREACHABLE"),
        (Self::MISALIGNED, "MISALIGNED"),
        (Self::RESERVED_FIELD, "RESERVED_FIELD"),
        (Self::BAD_QUEUE, "BAD_QUEUE"),
        (Self::QUEUE_RUNS, "QUEUE_RUNS"),
        (Self::QUEUE_STOPPED, "QUEUE_STOPPED"),
        (Self::BAD_ENTRIES, "BAD_ENTRIES"),
        (Self::BAD_VECTOR, "BAD_VECTOR"),
        (Self::BAD_WINDOW, "BAD_WINDOW"),
        (Self::WINDOW_IS_OPEN, "WINDOW_IS_OPEN"),
        (Self::WINDOW_IS_CLOSED, "WINDOW_IS_CLOSED"),
        (Self::BAD_KIND, "BAD_KIND"),
        (Self::BAD_RIGHTS, "BAD_RIGHTS"),
        (Self::BAD_SEGMENTS, "BAD_SEGMENTS"),
        (Self::BAD_LENGTH, "BAD_LENGTH"),
        (Self::OUT_OF_BOUNDS, "OUT_OF_BOUNDS"),
        (Self::BAD_TAIL, "BAD_TAIL"),
        (Self::BAD_HEAD, "BAD_HEAD"),
        (Self::SUBMISSION_FAULT, "SUBMISSION_FAULT"),
        (Self::COMPLETION_FAULT, "COMPLETION_FAULT"),
        (Self::DESCRIPTOR_REFUSED, "DESCRIPTOR_REFUSED"),
        (Self::MEMORY_FAULT, "MEMORY_FAULT"),
    ];
}
