// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Operations: descriptors that were checked, and are carried out in pieces (data sheet 7 and 8).

use crate::checked::{nop, Checked, Place};
use crate::queue::Batch;
#[cfg(feature = "sabotage")]
pub(crate) use crate::sabotage::bytes_to_write;
use crate::scratch::{Filling, Scratch};
use crate::window::Windows;
use crate::{DmaAddress, Host, Location, Unreachable};
use crc32c::crc32c_append;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::ring::{Descriptor, Opcode, Status};
use std::num::NonZeroU16;

/// Largest number of bytes of a piece, and of a step (data sheet 6). The caller gives its lock back
/// after each step, so this bounds the time for which a reset or a window close waits.
pub(crate) const PIECE: u64 = 64 << 10;
/// Largest number of descriptors, or pieces, of a step (data sheet 6).
const UNITS: u32 = 64;
/// Segments that are checked for reachability at the price of one unit. A window has up to 4096,
/// and a step may check those of many descriptors: the price ends the step after a long search.
const LOOKS_PER_UNIT: u32 = 16;

/// Amount of work that a step may still do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    bytes: u64,
    units: u32,
}

impl Budget {
    /// The budget of one step.
    pub(crate) const STEP: Self = Self {
        bytes: PIECE,
        units: UNITS,
    };

    /// Returns the number of bytes that may still be worked on.
    #[inline]
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Checks whether bytes or units are used up.
    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        self.bytes == 0 || self.units == 0
    }

    /// Returns the number of descriptors that the budget is good for.
    #[inline]
    pub(crate) const fn units(&self) -> u32 {
        self.units
    }

    /// Takes one unit out of the budget.
    #[inline]
    pub(crate) fn spend_unit(&mut self) {
        self.units = self.units.saturating_sub(1);
    }

    /// Takes a piece of `bytes` out of the budget.
    #[inline]
    pub(crate) fn spend_piece(&mut self, bytes: u64) {
        self.spend_unit();
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Charges the budget for `looks` segments that were checked, in whole units, rounded down.
    fn spend_looks(&mut self, looks: u32) {
        self.units = self.units.saturating_sub(looks / LOOKS_PER_UNIT);
    }
}

/// Context of a step: the memory and buffers that operations work with.
pub(crate) struct StepContext<'a, H: ?Sized> {
    pub(crate) host: &'a H,
    pub(crate) windows: &'a Windows,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) batch: &'a mut Batch,
}

/// A place in a window. It holds the window's number, so that the window can be closed at any time.
#[derive(Clone, Copy, Debug)]
struct WindowOffset {
    window: NonZeroU16,
    offset: u64,
}

impl From<Place<'_>> for WindowOffset {
    fn from(place: Place<'_>) -> Self {
        Self {
            window: place.number,
            offset: place.offset,
        }
    }
}

/// Outcome of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DescriptorOutcome {
    pub(crate) status: Status,
    pub(crate) result: u64,
    /// If unreachable memory ended the descriptor: the address of that memory.
    unreachable: Option<DmaAddress>,
}

impl DescriptorOutcome {
    /// Makes the outcome for memory that could not be reached.
    pub(crate) fn unreachable(status: Status, address: DmaAddress) -> Self {
        Self {
            unreachable: Some(address),
            ..status.into()
        }
    }

    /// Returns code and value for the error log; `None` if the outcome is no error.
    #[inline]
    pub(crate) fn error(&self, tag: u32) -> Option<(ErrorCode, u64)> {
        match (self.unreachable, self.status) {
            // DMA_FAULT, and ABORTED if memory went away (data sheet 8).
            (Some(address), _) => Some((ErrorCode::MEMORY_FAULT, address)),
            // A window that was closed is no error of the descriptor, nor is MISMATCH (data sheet
            // 8).
            (None, Status::OK | Status::ABORTED | Status::MISMATCH) => None,
            (None, Status(status)) => Some((
                ErrorCode::DESCRIPTOR_REFUSED,
                u64::from(status) << 32 | u64::from(tag),
            )),
        }
    }
}

impl From<Status> for DescriptorOutcome {
    /// Makes the outcome without a result.
    #[inline]
    fn from(status: Status) -> Self {
        Self {
            status,
            result: 0,
            unreachable: None,
        }
    }
}

/// Work of an operation on its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// Copies them from the source.
    Copy,
    /// Makes them.
    Make(Filling),
    /// Compares those of the source with the pattern of a seed.
    Verify(u64),
    /// Continues a checksum over those of the source. The value is the checksum so far.
    Checksum(u32),
}

impl Work {
    /// Checks whether the operation reads a source window.
    #[inline]
    pub(crate) fn reads(self) -> bool {
        !matches!(self, Self::Make(_))
    }

    /// Checks whether the operation writes a destination window.
    #[inline]
    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::Copy | Self::Make(_))
    }
}

/// A descriptor that works on memory, checked and perhaps in part carried out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) tag: u32,
    work: Work,
    source: Option<WindowOffset>,
    destination: Option<WindowOffset>,
    length: u64,
    /// Bytes done: the first ones, or the last ones if `backward`.
    done: u64,
    /// Goes from the last byte to the first, as the source starts before the destination and
    /// reaches into it.
    backward: bool,
    /// All memory was found reachable. Needed before the first of several pieces is written.
    reachable: bool,
    aborted: bool,
}

/// Bytes of an operation that lie in one segment of each window that it uses.
pub(crate) struct Piece {
    /// First byte, counted from the start of the operation.
    pub(crate) start: u64,
    pub(crate) from: Option<Location>,
    pub(crate) to: Option<Location>,
    pub(crate) length: u64,
}

impl Operation {
    /// Checks a descriptor of a queue in `domain`. Returns `None` if there is nothing to carry out.
    pub(crate) fn new(
        descriptor: &Descriptor,
        domain: u32,
        windows: &Windows,
    ) -> Result<Option<Self>, Status> {
        let operand = descriptor.operand;
        let work = match Opcode(descriptor.opcode) {
            Opcode::NOP => return nop(descriptor).map(|()| None),
            Opcode::COPY => Work::Copy,
            Opcode::FILL => Work::Make(Filling::Word(operand)),
            Opcode::PATTERN => Work::Make(Filling::Pattern(operand)),
            Opcode::VERIFY => Work::Verify(operand),
            // The high half of the operand is checked with the fields that are not used.
            Opcode::CRC32C => Work::Checksum(operand as u32),
            _ => return Err(Status::BAD_OPCODE),
        };
        let checked = Checked::new(descriptor, work, domain, windows)?;
        let source = checked.source.map(WindowOffset::from);
        let destination = checked.destination.map(WindowOffset::from);
        Ok(Some(Self {
            tag: descriptor.tag,
            work,
            source,
            destination,
            length: checked.length,
            done: 0,
            backward: source
                .zip(destination)
                .is_some_and(|(from, to)| reaches_ahead(from, to, checked.length)),
            reachable: false,
            aborted: false,
        }))
    }

    /// Checks whether the operation uses a window.
    pub(crate) fn uses(&self, window: u16) -> bool {
        [self.source, self.destination]
            .iter()
            .flatten()
            .any(|target| target.window.get() == window)
    }

    /// Breaks the operation off: its next step ends it, and does nothing else.
    pub(crate) fn abort(&mut self) {
        self.aborted = true;
    }

    /// Goes on as far as the budget reaches. Returns the outcome if the operation ended.
    pub(crate) fn advance<H: Host + ?Sized>(
        &mut self,
        context: &mut StepContext<'_, H>,
        budget: &mut Budget,
    ) -> Option<DescriptorOutcome> {
        loop {
            // `aborted` is looked at first. The window's number may be in use again, for memory
            // that this descriptor was not checked for.
            if self.aborted {
                return Some(Status::ABORTED.into());
            }
            if budget.is_spent() {
                return None;
            }
            // A window that is gone was closed: ABORTED (data sheet 5).
            let Some(piece) = self.piece(context.windows, budget.bytes) else {
                return Some(Status::ABORTED.into());
            };
            // With a status of 1 to 8 nothing was written (data sheet 8). So all memory is looked
            // at before the first of several pieces. A single piece needs no look: `Host::copy` and
            // `Host::write` fail without any effect if memory cannot be reached.
            if !self.reachable && piece.length < self.length {
                if let Some(address) = self.unreachable(context, budget) {
                    // A search that finds unreachable memory costs one more unit. Without it, a
                    // search of few looks would be free, because `spend_looks` rounds down. A step
                    // could then go on as long as the driver side adds such descriptors.
                    budget.spend_unit();
                    return Some(DescriptorOutcome::unreachable(Status::DMA_FAULT, address));
                }
                self.reachable = true;
            }
            budget.spend_piece(piece.length);
            match self.work_on(&piece, context) {
                Ok(None) => {
                    // Counted per piece, so that the next step goes on here.
                    self.done = self.done.saturating_add(piece.length);
                    if self.done == self.length {
                        return Some(self.complete());
                    }
                }
                Ok(ended) => return ended,
                Err(Unreachable) => return Some(piece.fault(context.host, self.done == 0)),
            }
        }
    }

    /// Processes one piece. Returns the outcome if this piece ends the operation.
    fn work_on<H: Host + ?Sized>(
        &mut self,
        piece: &Piece,
        context: &mut StepContext<'_, H>,
    ) -> Result<Option<DescriptorOutcome>, Unreachable> {
        let &Piece { start, length, .. } = piece;
        // The `?` stands in the arms that need the place: an operation that only writes has no
        // `from`.
        let from = piece.from.ok_or(Unreachable);
        let to = piece.to.ok_or(Unreachable);
        match &mut self.work {
            Work::Copy => {
                let (from, to) = (from?, to?);
                // All bytes of the piece, except in a build that is wrong on purpose.
                let length = bytes_to_write(Some(from), to, length);
                // From place to place, without a copy in between. The host copies as `memmove` does
                // (data sheet 7).
                context.host.copy(from, to, length as usize)?;
            }
            Work::Make(filling) => {
                let to = to?;
                let length = bytes_to_write(None, to, length);
                context
                    .host
                    .write(to, context.scratch.make(*filling, start, length))?;
            }
            Work::Verify(seed) => {
                let from = from?;
                let read = |bytes: &mut [u8]| context.host.read(from, bytes);
                // Ends at the first byte that differs. `same` counts in this piece, the result in
                // the whole operation (data sheet 7).
                if let Some(same) = context.scratch.compare(*seed, start, length, read)? {
                    return Ok(Some(DescriptorOutcome {
                        result: start.saturating_add(same),
                        ..Status::MISMATCH.into()
                    }));
                }
            }
            Work::Checksum(checksum) => {
                // Copied once. The guest may change its memory while the checksum is computed.
                let bytes = context.scratch.room(length);
                context.host.read(from?, bytes)?;
                *checksum = crc32c_append(*checksum, bytes);
            }
        }
        Ok(None)
    }

    /// Returns the outcome when all bytes are done (data sheet 7 and 8).
    fn complete(&self) -> DescriptorOutcome {
        DescriptorOutcome {
            result: match self.work {
                Work::Copy | Work::Make(_) => 0,
                Work::Verify(_) => self.length,
                Work::Checksum(checksum) => checksum.into(),
            },
            ..Status::OK.into()
        }
    }

    /// Returns the next piece, of at most `limit` bytes. `None` if a window is gone.
    fn piece(&self, windows: &Windows, limit: u64) -> Option<Piece> {
        let remaining = self.length.checked_sub(self.done)?;
        let mut length = limit.min(remaining);
        let mut start = self.done;
        if self.backward {
            // The piece ends at the end of the remaining bytes. It is cut so that it lies in one
            // segment of each window, so below nothing shortens it further.
            for target in [self.source, self.destination].into_iter().flatten() {
                let end = target.offset.checked_add(remaining)?;
                length = windows.get(target.window)?.length_before(end, length)?;
            }
            start = remaining.checked_sub(length)?;
        }
        // Going forward, each window may shorten the piece. The second one starts from the length
        // that the first one left. The first location stays right for a shorter piece, because it
        // is the piece's start.
        let mut place = |target: WindowOffset| {
            let window = windows.get(target.window)?;
            let run = window.from(target.offset.checked_add(start)?, length)?;
            length = run.length;
            Some(run.place)
        };
        let from = match self.source {
            Some(target) => Some(place(target)?),
            None => None,
        };
        let to = match self.destination {
            Some(target) => Some(place(target)?),
            None => None,
        };
        (length > 0).then_some(Piece {
            start,
            from,
            to,
            length,
        })
    }

    /// Returns the first address of the source that cannot be read. If there is none, returns the
    /// first of the destination that cannot be written (data sheet 8: source before destination).
    fn unreachable<H: Host + ?Sized>(
        &self,
        context: &StepContext<'_, H>,
        budget: &mut Budget,
    ) -> Option<DmaAddress> {
        let mut look = |target: Option<WindowOffset>, write: bool| {
            let target = target?;
            let window = context.windows.get(target.window)?;
            let (address, looked) =
                window.unreachable(context.host, target.offset, self.length, write);
            budget.spend_looks(looked);
            address
        };
        look(self.source, false).or_else(|| look(self.destination, true))
    }
}

impl Piece {
    /// Returns the outcome of an operation whose piece could not be carried out; `first` if it is the
    /// first one.
    #[cold]
    pub(crate) fn fault<H: Host + ?Sized>(&self, host: &H, first: bool) -> DescriptorOutcome {
        let look = |place: Option<Location>, write: bool| match place? {
            Location::Guest(address) => host.unreachable(address, self.length, write),
            Location::DeviceMemory(_) => None,
        };
        let found = look(self.from, false).or_else(|| look(self.to, true));
        // Memory went away after the look, or in the middle of the piece if all of it seems to be
        // there. DMA_FAULT would be wrong if anything may be written: it means that nothing was (data
        // sheet 8).
        let status = match found {
            Some(_) if first => Status::DMA_FAULT,
            _ => Status::ABORTED,
        };
        DescriptorOutcome::unreachable(status, found.unwrap_or_else(|| self.address()))
    }

    /// Returns the first guest address of the piece: the log has to name one.
    fn address(&self) -> DmaAddress {
        let own = [self.from, self.to].into_iter().flatten();
        own.filter_map(|place| match place {
            Location::Guest(address) => Some(address),
            Location::DeviceMemory(_) => None,
        })
        .next()
        .unwrap_or_default()
    }
}

/// Returns how many of a piece's bytes are written: all of them. The feature `sabotage` has a twin
/// that does it wrong.
#[cfg(not(feature = "sabotage"))]
#[inline]
pub(crate) fn bytes_to_write(_from: Option<Location>, _to: Location, length: u64) -> u64 {
    length
}

/// Checks whether the source starts before the destination and reaches into it.
fn reaches_ahead(from: WindowOffset, to: WindowOffset, length: u64) -> bool {
    // Only within one window does an overlap have a defined result (data sheet 7). From the front,
    // the copy would read bytes that it has written.
    from.window == to.window
        && to
            .offset
            .checked_sub(from.offset)
            .is_some_and(|distance| distance != 0 && distance < length)
}
