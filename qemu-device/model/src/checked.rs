// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Checks of a descriptor (data sheet 7 and 8), and the short way for one that needs no second step.

use crate::operation::{bytes_to_write, Budget, DescriptorOutcome, Piece, Work};
use crate::window::{Window, Windows};
use crate::{Host, Unreachable};
use ringbar_spec::ring::{Descriptor, Status, MAX_LENGTH};
use std::num::NonZeroU16;

/// A place in an open window.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) number: NonZeroU16,
    pub(crate) offset: u64,
    window: &'a Window,
}

/// A descriptor that works on memory and has passed all checks. Nothing of it has been carried out.
pub(crate) struct Checked<'a> {
    pub(crate) work: Work,
    pub(crate) source: Option<Place<'a>>,
    pub(crate) destination: Option<Place<'a>>,
    pub(crate) length: u64,
}

impl<'a> Checked<'a> {
    /// Checks a descriptor of a queue in `domain` that asks for this work.
    ///
    /// The checks are made in the order of data sheet 8, which decides on the status of a
    /// descriptor that breaks several rules.
    // Always inlined: with a known kind of work most conditions are known to the compiler. The
    // result would otherwise be passed through memory, a good part of a short operation's time.
    #[inline(always)]
    pub(crate) fn new(
        descriptor: &Descriptor,
        work: Work,
        domain: u32,
        windows: &'a Windows,
    ) -> Result<Self, Status> {
        // Data sheet 8: BAD_LENGTH comes before the checks that need a length.
        if descriptor.length == 0 || descriptor.length > MAX_LENGTH {
            return Err(Status::BAD_LENGTH);
        }
        let length = u64::from(descriptor.length);
        // Each check is made for both windows before the next one: source before destination (data
        // sheet 8).
        let source = match work.reads() {
            true => Some(Place::new(
                descriptor.source_window,
                descriptor.source_offset,
                domain,
                windows,
            )?),
            false => None,
        };
        let destination = match work.writes() {
            true => Some(Place::new(
                descriptor.destination_window,
                descriptor.destination_offset,
                domain,
                windows,
            )?),
            false => None,
        };
        let leaves = |place: Option<Place<'_>>| {
            place.is_some_and(|place| !place.window.holds(place.offset, length))
        };
        if leaves(source) || leaves(destination) {
            return Err(Status::OUT_OF_BOUNDS);
        }
        if source.is_some_and(|place| !place.window.readable) {
            return Err(Status::NOT_READABLE);
        }
        if destination.is_some_and(|place| !place.window.writable) {
            return Err(Status::NOT_WRITABLE);
        }
        // Fields that the operation does not use must be 0 (data sheet 7 and 8). A later version
        // could otherwise not give them a meaning.
        let mut unused = 0;
        if source.is_none() {
            unused |= descriptor.source_offset | u64::from(descriptor.source_window);
        }
        if destination.is_none() {
            unused |= descriptor.destination_offset | u64::from(descriptor.destination_window);
        }
        unused |= match work {
            Work::Copy => descriptor.operand,
            Work::Checksum(_) => descriptor.operand >> 32,
            Work::Make(_) | Work::Verify(_) => 0,
        };
        if unused != 0 || !reserved_is_zero(descriptor) {
            return Err(Status::RESERVED_FIELD);
        }
        Ok(Self {
            work,
            source,
            destination,
            length,
        })
    }

    /// Carries out a copy whose bytes are in one piece on each side, within the budget. Returns
    /// `None` for anything else, and has done nothing then.
    ///
    /// The outcome is that of [`Operation`](crate::operation::Operation), which needs a state that
    /// lasts from step to step.
    #[inline(always)]
    pub(crate) fn copy_whole<H: Host + ?Sized>(
        &self,
        host: &H,
        budget: &mut Budget,
    ) -> Option<DescriptorOutcome> {
        let (Work::Copy, Some(source), Some(destination)) =
            (self.work, self.source, self.destination)
        else {
            return None;
        };
        if self.length > budget.bytes() {
            return None;
        }
        let from = source.window.whole(source.offset, self.length)?;
        let to = destination.window.whole(destination.offset, self.length)?;
        budget.spend_piece(self.length);
        // All bytes, except in a build that is wrong on purpose.
        let length = bytes_to_write(Some(from), to, self.length);
        match host.copy(from, to, length as usize) {
            Ok(()) => Some(Status::OK.into()),
            Err(Unreachable) => {
                let piece = Piece {
                    start: 0,
                    from: Some(from),
                    to: Some(to),
                    length: self.length,
                };
                Some(piece.fault(host, true))
            }
        }
    }
}

impl<'a> Place<'a> {
    /// Finds the window with a number, for a queue in `domain`. Fails for window 0, which does not
    /// exist, and for one that is not open.
    #[inline(always)]
    fn new(number: u16, offset: u64, domain: u32, windows: &'a Windows) -> Result<Self, Status> {
        let number = NonZeroU16::new(number).ok_or(Status::BAD_WINDOW)?;
        // A window of another domain is as good as closed. Otherwise a process could reach another
        // one's memory by guessing numbers.
        let window = windows.get(number).filter(|it| it.domain == domain);
        Ok(Self {
            number,
            offset,
            window: window.ok_or(Status::BAD_WINDOW)?,
        })
    }
}

/// Checks a NOP, which is checked for RESERVED_FIELD only (data sheet 8).
pub(crate) fn nop(descriptor: &Descriptor) -> Result<(), Status> {
    let unused = u64::from(descriptor.length)
        | u64::from(descriptor.source_window)
        | u64::from(descriptor.destination_window)
        | descriptor.source_offset
        | descriptor.destination_offset
        | descriptor.operand;
    if unused == 0 && reserved_is_zero(descriptor) {
        Ok(())
    } else {
        Err(Status::RESERVED_FIELD)
    }
}

/// Checks the fields that must be 0 for every opcode (data sheet 7).
#[inline]
fn reserved_is_zero(descriptor: &Descriptor) -> bool {
    descriptor.flags == 0 && descriptor.reserved == [0; 3]
}
