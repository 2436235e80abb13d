// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Operations: a descriptor that was checked, and carrying it out in pieces.

use crate::queue::Tray;
#[cfg(feature = "sabotage")]
use crate::sabotage::bytes_to_write;
use crate::scratch::{Filling, Scratch};
use crate::window::{Window, Windows};
use crate::{DmaAddress, Host, Place, Unreachable};
use crc32c::crc32c_append;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::ring::{Descriptor, Opcode, Status, MAX_LENGTH};
use std::num::NonZeroU16;

/// Most bytes of a piece, and of a step.
pub(crate) const PIECE: u64 = 64 << 10;
/// Most descriptors, or pieces, of a step.
const UNITS: u32 = 64;
/// As many places as may be looked at for the price of a piece.
const LOOKS_PER_UNIT: u32 = 16;

/// What a step may still do.
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

    pub(crate) fn is_spent(&self) -> bool {
        self.bytes == 0 || self.units == 0
    }

    /// Descriptors that the budget is good for.
    pub(crate) const fn units(&self) -> u32 {
        self.units
    }

    pub(crate) fn spend_unit(&mut self) {
        self.units = self.units.saturating_sub(1);
    }

    fn spend_piece(&mut self, bytes: u64) {
        self.spend_unit();
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn spend_looks(&mut self, looks: u32) {
        self.units = self.units.saturating_sub(looks / LOOKS_PER_UNIT);
    }
}

/// What operations work with.
pub(crate) struct Bench<'a> {
    pub(crate) host: &'a dyn Host,
    pub(crate) windows: &'a Windows,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) tray: &'a mut Tray,
}

/// A place in a window, by number, so that the window can be closed at any time.
#[derive(Clone, Copy, Debug)]
struct Spot {
    window: NonZeroU16,
    offset: u64,
}

impl Spot {
    fn new(window: u16, offset: u64) -> Result<Self, Status> {
        let window = NonZeroU16::new(window).ok_or(Status::BAD_WINDOW)?;
        Ok(Self { window, offset })
    }
}

/// How a descriptor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: Status,
    pub(crate) result: u64,
    /// Memory that could not be reached, if that ended it.
    unreachable: Option<DmaAddress>,
}

impl Ended {
    fn unreachable(status: Status, address: DmaAddress) -> Self {
        Self {
            unreachable: Some(address),
            ..status.into()
        }
    }

    /// Code and value of the error that this is, if it is one.
    pub(crate) fn error(&self, tag: u32) -> Option<(ErrorCode, u64)> {
        match (self.unreachable, self.status) {
            (Some(address), _) => Some((ErrorCode::MEMORY_FAULT, address)),
            (None, Status::OK | Status::ABORTED | Status::MISMATCH) => None,
            (None, Status(status)) => Some((
                ErrorCode::DESCRIPTOR_REFUSED,
                u64::from(status) << 32 | u64::from(tag),
            )),
        }
    }
}

impl From<Status> for Ended {
    /// Without a result.
    fn from(status: Status) -> Self {
        Self {
            status,
            result: 0,
            unreachable: None,
        }
    }
}

/// What is done with the bytes.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// They come from the source.
    Copy,
    /// They are made.
    Make(Filling),
    /// Those of the source are compared with the pattern of a seed.
    Verify(u64),
    /// Those of the source go into a checksum, which is this so far.
    Checksum(u32),
}

impl Work {
    fn reads(self) -> bool {
        !matches!(self, Self::Make(_))
    }

    fn writes(self) -> bool {
        matches!(self, Self::Copy | Self::Make(_))
    }
}

/// A descriptor that works on memory, checked and perhaps in part carried out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) tag: u32,
    work: Work,
    source: Option<Spot>,
    destination: Option<Spot>,
    length: u64,
    /// Bytes done: the first ones, or the last ones if `backward`.
    done: u64,
    /// Goes from the last byte to the first, as the source starts before the destination and
    /// reaches into it.
    backward: bool,
    /// All memory was found reachable.
    checked: bool,
    aborted: bool,
}

/// A stretch without a gap in the windows that the operation uses.
struct Piece {
    /// First byte, counted from the start of the operation.
    start: u64,
    from: Option<Place>,
    to: Option<Place>,
    length: u64,
}

impl Operation {
    /// Checks a descriptor of a queue in `domain`. `None` if there is nothing to carry out.
    // Inlined because the answer, passed through memory, is a good part of a short operation's time.
    #[inline]
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
            Opcode::CRC32C => Work::Checksum(operand as u32),
            _ => return Err(Status::BAD_OPCODE),
        };
        if descriptor.length == 0 || descriptor.length > MAX_LENGTH {
            return Err(Status::BAD_LENGTH);
        }
        let length = u64::from(descriptor.length);
        let source = match work.reads() {
            true => Some(Spot::new(
                descriptor.source_window,
                descriptor.source_offset,
            )?),
            false => None,
        };
        let destination = match work.writes() {
            true => Some(Spot::new(
                descriptor.destination_window,
                descriptor.destination_offset,
            )?),
            false => None,
        };
        check_windows(source, destination, length, domain, windows)?;

        let mut unused = 0;
        if source.is_none() {
            unused |= descriptor.source_offset | u64::from(descriptor.source_window);
        }
        if destination.is_none() {
            unused |= descriptor.destination_offset | u64::from(descriptor.destination_window);
        }
        unused |= match work {
            Work::Copy => operand,
            Work::Checksum(_) => operand >> 32,
            Work::Make(_) | Work::Verify(_) => 0,
        };
        if unused != 0 || !reserved_is_zero(descriptor) {
            return Err(Status::RESERVED_FIELD);
        }

        Ok(Some(Self {
            tag: descriptor.tag,
            work,
            source,
            destination,
            length,
            done: 0,
            backward: source
                .zip(destination)
                .is_some_and(|(from, to)| reaches_ahead(from, to, length)),
            checked: false,
            aborted: false,
        }))
    }

    /// Whether the operation uses a window.
    pub(crate) fn uses(&self, window: u16) -> bool {
        [self.source, self.destination]
            .iter()
            .flatten()
            .any(|spot| spot.window.get() == window)
    }

    /// Breaks the operation off: it does nothing any more but end.
    pub(crate) fn abort(&mut self) {
        self.aborted = true;
    }

    /// Goes on as far as the budget reaches. Answers how the operation ended, if it did.
    #[inline]
    pub(crate) fn advance(&mut self, bench: &mut Bench<'_>, budget: &mut Budget) -> Option<Ended> {
        loop {
            if self.aborted {
                return Some(Status::ABORTED.into());
            }
            if budget.is_spent() {
                return None;
            }
            let Some(piece) = self.piece(bench.windows, budget.bytes) else {
                return Some(Status::ABORTED.into());
            };
            // A single piece is all or nothing anyway.
            if !self.checked && piece.length < self.length {
                if let Some(address) = self.unreachable(bench, budget) {
                    budget.spend_unit();
                    return Some(Ended::unreachable(Status::DMA_FAULT, address));
                }
                self.checked = true;
            }
            budget.spend_piece(piece.length);
            match self.work_on(&piece, bench) {
                Ok(None) => {
                    self.done = self.done.saturating_add(piece.length);
                    if self.done == self.length {
                        return Some(self.complete());
                    }
                }
                Ok(ended) => return ended,
                Err(Unreachable) => {
                    let status = if self.done == 0 {
                        Status::DMA_FAULT
                    } else {
                        Status::ABORTED
                    };
                    return Some(Ended::unreachable(status, piece.unreachable(bench.host)));
                }
            }
        }
    }

    /// Does what is to be done with a piece. Answers how the operation ended, if that ends it.
    #[inline]
    fn work_on(
        &mut self,
        piece: &Piece,
        bench: &mut Bench<'_>,
    ) -> Result<Option<Ended>, Unreachable> {
        let &Piece { start, length, .. } = piece;
        let from = piece.from.ok_or(Unreachable);
        let to = piece.to.ok_or(Unreachable);
        match &mut self.work {
            Work::Copy => {
                let (from, to) = (from?, to?);
                let length = bytes_to_write(Some(from), to, length);
                bench.host.copy(from, to, length as usize)?;
            }
            Work::Make(filling) => {
                let to = to?;
                let length = bytes_to_write(None, to, length);
                bench
                    .host
                    .write(to, bench.scratch.make(*filling, start, length))?;
            }
            Work::Verify(seed) => {
                let from = from?;
                let read = |bytes: &mut [u8]| bench.host.read(from, bytes);
                if let Some(same) = bench.scratch.compare(*seed, start, length, read)? {
                    return Ok(Some(Ended {
                        result: start.saturating_add(same),
                        ..Status::MISMATCH.into()
                    }));
                }
            }
            Work::Checksum(checksum) => {
                let bytes = bench.scratch.room(length);
                bench.host.read(from?, bytes)?;
                *checksum = crc32c_append(*checksum, bytes);
            }
        }
        Ok(None)
    }

    /// How the operation ends when all bytes are done.
    fn complete(&self) -> Ended {
        Ended {
            result: match self.work {
                Work::Copy | Work::Make(_) => 0,
                Work::Verify(_) => self.length,
                Work::Checksum(checksum) => checksum.into(),
            },
            ..Status::OK.into()
        }
    }

    /// The next piece, of at most `limit` bytes. `None` if a window is gone.
    #[inline]
    fn piece(&self, windows: &Windows, limit: u64) -> Option<Piece> {
        let left = self.length.checked_sub(self.done)?;
        let mut length = limit.min(left);
        let mut start = self.done;
        if self.backward {
            for spot in [self.source, self.destination].into_iter().flatten() {
                let end = spot.offset.checked_add(left)?;
                length = windows.get(spot.window)?.length_before(end, length)?;
            }
            start = left.checked_sub(length)?;
        }
        let mut place = |spot: Spot| {
            let window = windows.get(spot.window)?;
            let run = window.from(spot.offset.checked_add(start)?, length)?;
            length = run.length;
            Some(run.place)
        };
        let from = match self.source {
            Some(spot) => Some(place(spot)?),
            None => None,
        };
        let to = match self.destination {
            Some(spot) => Some(place(spot)?),
            None => None,
        };
        (length > 0).then_some(Piece {
            start,
            from,
            to,
            length,
        })
    }

    /// The first address in the way of all that is to be read, then of all that is to be written.
    fn unreachable(&self, bench: &Bench<'_>, budget: &mut Budget) -> Option<DmaAddress> {
        let mut look = |spot: Option<Spot>, write: bool| {
            let spot = spot?;
            let window = bench.windows.get(spot.window)?;
            let (address, looked) = window.unreachable(bench.host, spot.offset, self.length, write);
            budget.spend_looks(looked);
            address
        };
        look(self.source, false).or_else(|| look(self.destination, true))
    }
}

impl Piece {
    /// The first address that stands in its way. Its own first one, if it is free again meanwhile.
    fn unreachable(&self, host: &dyn Host) -> DmaAddress {
        let look = |place: Option<Place>, write: bool| match place? {
            Place::Guest(address) => host.unreachable(address, self.length, write),
            Place::DeviceMemory(_) => None,
        };
        let own = [self.from, self.to].into_iter().flatten();
        look(self.from, false)
            .or_else(|| look(self.to, true))
            .or_else(|| {
                own.filter_map(|place| match place {
                    Place::Guest(address) => Some(address),
                    Place::DeviceMemory(_) => None,
                })
                .next()
            })
            .unwrap_or_default()
    }
}

/// How many of a piece's bytes are written: all of them, by a device that is not wrong on purpose.
#[cfg(not(feature = "sabotage"))]
#[inline]
fn bytes_to_write(_from: Option<Place>, _to: Place, length: u64) -> u64 {
    length
}

/// Checks that a queue in `domain` may use `length` bytes of its windows as it wants to.
fn check_windows(
    source: Option<Spot>,
    destination: Option<Spot>,
    length: u64,
    domain: u32,
    windows: &Windows,
) -> Result<(), Status> {
    let open = |spot: Option<Spot>| match spot {
        Some(spot) => windows
            .get(spot.window)
            .filter(|window| window.domain == domain)
            .map(|window| Some((window, spot.offset)))
            .ok_or(Status::BAD_WINDOW),
        None => Ok(None),
    };
    let source = open(source)?;
    let destination = open(destination)?;
    let leaves =
        |place: Option<(&Window, u64)>| place.is_some_and(|(window, at)| !window.holds(at, length));
    if leaves(source) || leaves(destination) {
        return Err(Status::OUT_OF_BOUNDS);
    }
    if source.is_some_and(|(window, _)| !window.readable) {
        return Err(Status::NOT_READABLE);
    }
    if destination.is_some_and(|(window, _)| !window.writable) {
        return Err(Status::NOT_WRITABLE);
    }
    Ok(())
}

/// Whether the source starts before the destination and reaches into it.
fn reaches_ahead(from: Spot, to: Spot, length: u64) -> bool {
    from.window == to.window
        && to
            .offset
            .checked_sub(from.offset)
            .is_some_and(|distance| distance != 0 && distance < length)
}

fn nop(descriptor: &Descriptor) -> Result<(), Status> {
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

fn reserved_is_zero(descriptor: &Descriptor) -> bool {
    descriptor.flags == 0 && descriptor.reserved == [0; 3]
}
