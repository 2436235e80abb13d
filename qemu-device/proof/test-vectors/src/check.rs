// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Outcome of a descriptor by the order of checks in data sheet 8.

use ringbar_spec::ring::{Descriptor, Opcode, Status, MAX_LENGTH};

/// A window that can be named, as the data sheet sees it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its number.
    pub window: u16,
    /// The window, or `None` if it cannot be used.
    pub open: Option<Opened>,
}

/// A window that can be used.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// Length in bytes.
    pub length: u64,
    /// Whether descriptors may read it.
    pub readable: bool,
    /// Whether descriptors may write it.
    pub writable: bool,
}

/// Returns whether an operation reads a source window, and whether it writes a destination window
/// (data sheet 7).
pub fn windows_used(opcode: Opcode) -> (bool, bool) {
    let reads = [Opcode::COPY, Opcode::VERIFY, Opcode::CRC32C].contains(&opcode);
    let writes = [Opcode::COPY, Opcode::FILL, Opcode::PATTERN].contains(&opcode);
    (reads, writes)
}

/// Returns the status that data sheet 8 demands, for memory that can be reached. Returns
/// [`Status::OK`] if the bytes decide between that and [`Status::MISMATCH`].
pub fn status(descriptor: &Descriptor, targets: &[Target]) -> Status {
    let opcode = Opcode(descriptor.opcode);
    let (reads, writes) = windows_used(opcode);
    if !Opcode::ALL.iter().any(|(known, _)| *known == opcode) {
        return Status::BAD_OPCODE;
    }
    let length = u64::from(descriptor.length);
    // A NOP is checked for RESERVED_FIELD only (data sheet 8).
    if opcode != Opcode::NOP && !(1..=u64::from(MAX_LENGTH)).contains(&length) {
        return Status::BAD_LENGTH;
    }
    // A window of another domain counts as one that is not open (data sheet 8).
    let find = |window: u16| {
        let target = targets.iter().find(|target| target.window == window);
        target.and_then(|target| target.open)
    };
    let source = reads.then(|| find(descriptor.source_window));
    let destination = writes.then(|| find(descriptor.destination_window));
    if matches!(source, Some(None)) || matches!(destination, Some(None)) {
        return Status::BAD_WINDOW;
    }
    let source = source.flatten();
    let destination = destination.flatten();
    let leaves = |window: Option<Opened>, offset: u64| {
        // An end that passes 2^64 lies outside as well.
        let end = offset.checked_add(length);
        window.is_some_and(|window| end.is_none_or(|end| end > window.length))
    };
    if leaves(source, descriptor.source_offset)
        || leaves(destination, descriptor.destination_offset)
    {
        return Status::OUT_OF_BOUNDS;
    }
    if source.is_some_and(|window| !window.readable) {
        return Status::NOT_READABLE;
    }
    if destination.is_some_and(|window| !window.writable) {
        return Status::NOT_WRITABLE;
    }
    // Data sheet 7: fields that an operation does not use must be 0.
    let mut unused = u64::from(descriptor.flags) | descriptor.reserved.iter().fold(0, |a, b| a | b);
    if !reads {
        unused |= u64::from(descriptor.source_window) | descriptor.source_offset;
    }
    if !writes {
        unused |= u64::from(descriptor.destination_window) | descriptor.destination_offset;
    }
    match opcode {
        Opcode::NOP => unused |= length | descriptor.operand,
        Opcode::COPY => unused |= descriptor.operand,
        // A checksum has 32 bits. An operand over that is refused (data sheet 7).
        Opcode::CRC32C => unused |= descriptor.operand >> 32,
        _ => {}
    }
    if unused != 0 {
        return Status::RESERVED_FIELD;
    }
    Status::OK
}
