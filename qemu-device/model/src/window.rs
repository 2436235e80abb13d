// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Windows: the memory that descriptors can name.

use crate::{DmaAddress, Host, Place};
use ringbar_spec::setup::MAX_WINDOWS;
use std::num::NonZeroU16;

/// All windows of the device.
pub(crate) struct Windows(Vec<Option<Window>>);

impl Windows {
    pub(crate) fn new() -> Self {
        let mut windows = Vec::new();
        windows.resize_with(MAX_WINDOWS.into(), || None);
        Self(windows)
    }

    /// The window with this number, if it is open.
    pub(crate) fn get(&self, number: NonZeroU16) -> Option<&Window> {
        self.0.get(usize::from(number.get()) - 1)?.as_ref()
    }

    /// Where the window with this number is kept; `None` if the number does not exist.
    pub(crate) fn slot(&mut self, number: u16) -> Option<&mut Option<Window>> {
        self.0.get_mut(usize::from(number).checked_sub(1)?)
    }

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

/// What a window shows.
#[derive(Debug)]
pub(crate) enum Backing {
    /// Memory of the guest, by offset in the window; the first extent starts at 0.
    Guest(Box<[Extent]>),
    /// Device memory from this offset on.
    DeviceMemory(u64),
}

/// Guest memory without a gap, up to where the next extent starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Offset in the window.
    pub(crate) start: u64,
    pub(crate) address: DmaAddress,
}

/// Memory without a gap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) place: Place,
    pub(crate) length: u64,
}

impl Window {
    /// Whether `length` bytes at `offset` lie in the window.
    pub(crate) fn holds(&self, offset: u64, length: u64) -> bool {
        offset
            .checked_add(length)
            .is_some_and(|end| end <= self.length)
    }

    /// Memory without a gap from `offset` on, at most `limit` bytes.
    pub(crate) fn from(&self, offset: u64, limit: u64) -> Option<Run> {
        let (extent, place, end) = self.around(offset)?;
        let inside = offset.checked_sub(extent)?;
        let place = match place {
            Place::Guest(address) => Place::Guest(address.checked_add(inside)?),
            Place::DeviceMemory(first) => Place::DeviceMemory(first.checked_add(inside)?),
        };
        let length = end.checked_sub(offset)?.min(limit);
        Some(Run { place, length })
    }

    /// How many bytes without a gap end before offset `end`, at most `limit`.
    pub(crate) fn length_before(&self, end: u64, limit: u64) -> Option<u64> {
        let (extent, _, _) = self.around(end.checked_sub(1)?)?;
        Some(end.checked_sub(extent)?.min(limit))
    }

    /// The first address that stands in the way of all `length` bytes at `offset`; and how many places
    /// were looked at.
    pub(crate) fn unreachable(
        &self,
        host: &dyn Host,
        offset: u64,
        length: u64,
        write: bool,
    ) -> (Option<DmaAddress>, u32) {
        let (mut at, mut left, mut looked) = (offset, length, 0u32);
        while let Some(run) = self.from(at, left).filter(|run| run.length > 0) {
            looked = looked.saturating_add(1);
            if let Place::Guest(address) = run.place
                && let Some(address) = host.unreachable(address, run.length, write)
            {
                return (Some(address), looked);
            }
            at = at.saturating_add(run.length);
            left = left.saturating_sub(run.length);
        }
        (None, looked)
    }

    /// The extent that has the byte at `offset`: where it starts and ends in the window, and the
    /// place of its first byte.
    fn around(&self, offset: u64) -> Option<(u64, Place, u64)> {
        match &self.backing {
            Backing::DeviceMemory(first) => Some((0, Place::DeviceMemory(*first), self.length)),
            Backing::Guest(extents) => {
                if let [extent] = **extents {
                    return Some((0, Place::Guest(extent.address), self.length));
                }
                let next = extents.partition_point(|extent| extent.start <= offset);
                let extent = extents.get(next.checked_sub(1)?)?;
                let end = extents.get(next).map_or(self.length, |next| next.start);
                Some((extent.start, Place::Guest(extent.address), end))
            }
        }
    }
}
