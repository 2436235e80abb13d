// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Operations: a descriptor that was checked, and carrying it out in pieces.

use crate::scratch::{Filling, Scratch};
use crate::window::{Window, Windows};
use crate::{Host, Place};
use ringbar_spec::ring::{Descriptor, Opcode, Status, MAX_LENGTH};

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
    pub(crate) fn units(&self) -> u32 {
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
}

/// A place in a window, by number, so that the window can be closed at any time.
#[derive(Clone, Copy, Debug)]
struct Spot {
    window: u16,
    offset: u64,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Window(Spot),
    Made(Filling),
}

/// A descriptor that writes memory, checked and perhaps in part carried out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) tag: u32,
    source: Source,
    destination: Spot,
    length: u64,
    /// Bytes written: the first ones, or the last ones if `backward`.
    done: u64,
    /// Goes from the last byte to the first, as the source starts before the destination and
    /// reaches into it.
    backward: bool,
    /// All memory was found reachable.
    checked: bool,
    aborted: bool,
}

/// A stretch without a gap on both sides.
struct Piece {
    /// First byte, counted from the start of the operation.
    start: u64,
    from: Option<Place>,
    to: Place,
    length: u64,
}

impl Operation {
    /// Checks a descriptor of a queue in `domain`. `None` if there is nothing to carry out.
    pub(crate) fn new(
        descriptor: &Descriptor,
        domain: u32,
        windows: &Windows,
    ) -> Result<Option<Self>, Status> {
        let opcode = Opcode(descriptor.opcode);
        let filling = match opcode {
            Opcode::NOP => return nop(descriptor).map(|()| None),
            Opcode::COPY => None,
            Opcode::FILL => Some(Filling::Word(descriptor.operand)),
            Opcode::PATTERN => Some(Filling::Pattern(descriptor.operand)),
            _ => return Err(Status::BAD_OPCODE),
        };
        if descriptor.length == 0 || descriptor.length > MAX_LENGTH {
            return Err(Status::BAD_LENGTH);
        }
        let length = u64::from(descriptor.length);
        let from = Spot {
            window: descriptor.source_window,
            offset: descriptor.source_offset,
        };
        let to = Spot {
            window: descriptor.destination_window,
            offset: descriptor.destination_offset,
        };

        let open = |spot: Spot| {
            windows
                .get(spot.window)
                .filter(|window| window.domain == domain)
                .ok_or(Status::BAD_WINDOW)
        };
        let source = match filling {
            None => Some(open(from)?),
            Some(_) => None,
        };
        let destination = open(to)?;
        if source.is_some_and(|window| !window.holds(from.offset, length))
            || !destination.holds(to.offset, length)
        {
            return Err(Status::OUT_OF_BOUNDS);
        }
        if source.is_some_and(|window| !window.readable) {
            return Err(Status::NOT_READABLE);
        }
        if !destination.writable {
            return Err(Status::NOT_WRITABLE);
        }
        let unused = match filling {
            None => descriptor.operand,
            Some(_) => descriptor.source_offset | u64::from(descriptor.source_window),
        };
        if unused != 0 || !reserved_is_zero(descriptor) {
            return Err(Status::RESERVED_FIELD);
        }

        let distance = to.offset.checked_sub(from.offset);
        Ok(Some(Self {
            tag: descriptor.tag,
            source: filling.map_or(Source::Window(from), Source::Made),
            destination: to,
            length,
            done: 0,
            backward: filling.is_none()
                && from.window == to.window
                && distance.is_some_and(|distance| distance != 0 && distance < length),
            checked: false,
            aborted: false,
        }))
    }

    /// Whether the operation uses a window.
    pub(crate) fn uses(&self, window: u16) -> bool {
        let reads = match self.source {
            Source::Window(spot) => spot.window == window,
            Source::Made(_) => false,
        };
        reads || self.destination.window == window
    }

    /// Breaks the operation off: it does nothing any more but end.
    pub(crate) fn abort(&mut self) {
        self.aborted = true;
    }

    /// Goes on as far as the budget reaches. Answers how the operation ended, if it did.
    pub(crate) fn advance(&mut self, bench: &mut Bench<'_>, budget: &mut Budget) -> Option<Status> {
        loop {
            if self.aborted {
                return Some(Status::ABORTED);
            }
            if self.done == self.length {
                return Some(Status::OK);
            }
            if budget.is_spent() {
                return None;
            }
            let Some(piece) = self.piece(bench.windows, budget.bytes) else {
                return Some(Status::ABORTED);
            };
            // A single piece is all or nothing anyway.
            if !self.checked && piece.length < self.length {
                if !self.reachable(bench, budget) {
                    budget.spend_unit();
                    return Some(Status::DMA_FAULT);
                }
                self.checked = true;
            }
            budget.spend_piece(piece.length);
            let written = match (self.source, piece.from) {
                (Source::Made(filling), _) => {
                    let bytes = bench.scratch.make(filling, piece.start, piece.length);
                    bench.host.write(piece.to, bytes)
                }
                (Source::Window(_), Some(from)) => {
                    bench.host.copy(from, piece.to, piece.length as usize)
                }
                (Source::Window(_), None) => return Some(Status::ABORTED),
            };
            if written.is_err() {
                return Some(if self.done == 0 {
                    Status::DMA_FAULT
                } else {
                    Status::ABORTED
                });
            }
            self.done = self.done.saturating_add(piece.length);
        }
    }

    /// The next piece, of at most `limit` bytes. `None` if a window is gone.
    fn piece(&self, windows: &Windows, limit: u64) -> Option<Piece> {
        let to = windows.get(self.destination.window)?;
        let from = match self.source {
            Source::Window(spot) => Some((windows.get(spot.window)?, spot.offset)),
            Source::Made(_) => None,
        };
        let left = self.length.checked_sub(self.done)?;
        let mut limit = limit.min(left);
        let start = if self.backward {
            limit = to.length_before(self.destination.offset.checked_add(left)?, limit)?;
            if let Some((from, offset)) = from {
                limit = from.length_before(offset.checked_add(left)?, limit)?;
            }
            left.checked_sub(limit)?
        } else {
            self.done
        };
        let run = |window: &Window, offset: u64| window.from(offset.checked_add(start)?, limit);
        let from = match from {
            Some((window, offset)) => Some(run(window, offset)?),
            None => None,
        };
        let to = run(to, self.destination.offset)?;
        let length = from.map_or(to.length, |from| from.length.min(to.length));
        (length > 0).then_some(Piece {
            start,
            from: from.map(|from| from.place),
            to: to.place,
            length,
        })
    }

    fn reachable(&self, bench: &Bench<'_>, budget: &mut Budget) -> bool {
        let mut look = |spot: Spot, write: bool| {
            bench.windows.get(spot.window).is_some_and(|window| {
                let (reachable, looked) =
                    window.reachable(bench.host, spot.offset, self.length, write);
                budget.spend_looks(looked);
                reachable
            })
        };
        let source = match self.source {
            Source::Window(spot) => look(spot, false),
            Source::Made(_) => true,
        };
        source && look(self.destination, true)
    }
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
