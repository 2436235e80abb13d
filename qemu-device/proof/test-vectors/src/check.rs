// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! How a descriptor must end: the order of checks in the data sheet, section 8.

use ringbar_spec::ring::{Descriptor, Opcode, Status, MAX_LENGTH};

/// A window that can be named, as the data sheet sees it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its number.
    pub window: u16,
    /// `None` if it cannot be used.
    pub open: Option<Opened>,
}

/// A window that can be used.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// Bytes.
    pub length: u64,
    /// Descriptors may read it.
    pub readable: bool,
    /// Descriptors may write it.
    pub writable: bool,
}

/// The status that the data sheet promises, for memory that can be reached; [`Status::OK`] where
/// the bytes decide between that and [`Status::MISMATCH`].
pub fn status(descriptor: &Descriptor, targets: &[Target]) -> Status {
    let opcode = Opcode(descriptor.opcode);
    let reads = [Opcode::COPY, Opcode::VERIFY, Opcode::CRC32C].contains(&opcode);
    let writes = [Opcode::COPY, Opcode::FILL, Opcode::PATTERN].contains(&opcode);
    if !Opcode::ALL.iter().any(|(known, _)| *known == opcode) {
        return Status::BAD_OPCODE;
    }
    let length = u64::from(descriptor.length);
    if opcode != Opcode::NOP && !(1..=u64::from(MAX_LENGTH)).contains(&length) {
        return Status::BAD_LENGTH;
    }
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
        Opcode::CRC32C => unused |= descriptor.operand >> 32,
        _ => {}
    }
    if unused != 0 {
        return Status::RESERVED_FIELD;
    }
    Status::OK
}
