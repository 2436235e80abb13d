// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Windows: the memory that descriptors can name (data sheet 5).

use crate::{DmaAddress, Host, Location};
use ringbar_spec::setup::MAX_WINDOWS;
use std::num::NonZeroU16;

/// All windows of the device.
pub(crate) struct Windows(Vec<Option<Window>>);

impl Windows {
    /// Makes all windows, closed. Window 0 does not exist, so number n has index n - 1.
    pub(crate) fn new() -> Self {
        let mut windows = Vec::new();
        windows.resize_with(MAX_WINDOWS.into(), || None);
        Self(windows)
    }

    /// Returns the window with this number, if it is open.
    #[inline]
    pub(crate) fn get(&self, number: NonZeroU16) -> Option<&Window> {
        self.0.get(usize::from(number.get()) - 1)?.as_ref()
    }

    /// Returns the slot that holds the window with this number; `None` if the number does not
    /// exist.
    pub(crate) fn slot(&mut self, number: u16) -> Option<&mut Option<Window>> {
        self.0.get_mut(usize::from(number).checked_sub(1)?)
    }

    /// Closes all windows.
    pub(crate) fn close_all(&mut self) {
        self.0.fill_with(|| None);
    }
}

/// A numbered view of memory, as checked when it was opened.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) domain: u32,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) length: u64,
    pub(crate) backing: Backing,
}

/// Memory behind a window.
#[derive(Debug)]
pub(crate) enum Backing {
    /// Memory of the guest, by offset in the window; the first extent starts at 0.
    Guest(Box<[Extent]>),
    /// Device memory from this offset on.
    DeviceMemory(u64),
}

/// Guest memory without a gap, up to the start of the next extent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Offset in the window.
    pub(crate) start: u64,
    pub(crate) address: DmaAddress,
}

/// Memory without a gap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) place: Location,
    pub(crate) length: u64,
}

impl Window {
    /// Checks whether `length` bytes at `offset` lie in the window.
    #[inline]
    pub(crate) fn holds(&self, offset: u64, length: u64) -> bool {
        offset
            .checked_add(length)
            .is_some_and(|end| end <= self.length)
    }

    /// Returns the place of `length` bytes at `offset`, which the window [holds](Self::holds), if
    /// there is no gap between them.
    #[inline]
    pub(crate) fn whole(&self, offset: u64, length: u64) -> Option<Location> {
        // One segment is the usual case, and needs no search.
        match &self.backing {
            Backing::Guest(extents) => match **extents {
                [extent] => Some(Location::Guest(extent.address.checked_add(offset)?)),
                _ => self.whole_of_several(offset, length),
            },
            Backing::DeviceMemory(first) => {
                Some(Location::DeviceMemory(first.checked_add(offset)?))
            }
        }
    }

    /// Does so in a window of several segments.
    #[inline(never)]
    fn whole_of_several(&self, offset: u64, length: u64) -> Option<Location> {
        let run = self.from(offset, length)?;
        (run.length == length).then_some(run.place)
    }

    /// Returns memory without a gap from `offset` on, at most `limit` bytes.
    pub(crate) fn from(&self, offset: u64, limit: u64) -> Option<Run> {
        let (extent, place, end) = self.around(offset)?;
        let inside = offset.checked_sub(extent)?;
        let place = match place {
            Location::Guest(address) => Location::Guest(address.checked_add(inside)?),
            Location::DeviceMemory(first) => Location::DeviceMemory(first.checked_add(inside)?),
        };
        let length = end.checked_sub(offset)?.min(limit);
        Some(Run { place, length })
    }

    /// Returns the number of bytes without a gap that end before offset `end`, at most `limit`.
    pub(crate) fn length_before(&self, end: u64, limit: u64) -> Option<u64> {
        let (extent, _, _) = self.around(end.checked_sub(1)?)?;
        Some(end.checked_sub(extent)?.min(limit))
    }

    /// Returns the first address that cannot be reached among `length` bytes at `offset`, and how
    /// many stretches were looked at.
    pub(crate) fn unreachable<H: Host + ?Sized>(
        &self,
        host: &H,
        offset: u64,
        length: u64,
        write: bool,
    ) -> (Option<DmaAddress>, u32) {
        let (mut at, mut left, mut looked) = (offset, length, 0u32);
        // Each segment costs a look-up in the server. The caller pays for them out of its budget,
        // so that a window of many segments does not hold the lock for long.
        while let Some(run) = self.from(at, left).filter(|run| run.length > 0) {
            looked = looked.saturating_add(1);
            if let Location::Guest(address) = run.place
                && let Some(address) = host.unreachable(address, run.length, write)
            {
                return (Some(address), looked);
            }
            at = at.saturating_add(run.length);
            left = left.saturating_sub(run.length);
        }
        (None, looked)
    }

    /// Returns the extent that has the byte at `offset`: its start and end in the window, and the
    /// place of its first byte.
    fn around(&self, offset: u64) -> Option<(u64, Location, u64)> {
        match &self.backing {
            Backing::DeviceMemory(first) => Some((0, Location::DeviceMemory(*first), self.length)),
            Backing::Guest(extents) => {
                // One segment is the usual case, and needs no search.
                if let [extent] = **extents {
                    return Some((0, Location::Guest(extent.address), self.length));
                }
                let next = extents.partition_point(|extent| extent.start <= offset);
                let extent = extents.get(next.checked_sub(1)?)?;
                let end = extents.get(next).map_or(self.length, |next| next.start);
                Some((extent.start, Location::Guest(extent.address), end))
            }
        }
    }
}
