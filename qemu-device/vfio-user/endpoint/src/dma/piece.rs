// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Guest memory in one piece, which this process may touch or not.

use ringbar_vfio_user::device::DmaRange;
use vm_memory::VolatileSlice;

use super::Unreachable;
use crate::files::{CopyFailed, Untouched};

/// Bytes between two calls of a copy from piece to piece.
const BUFFER: usize = 16 << 10;

/// Guest memory that lies in one range.
#[derive(Clone, Copy)]
pub(super) enum Piece<'a> {
    /// This process may touch it.
    Touched(VolatileSlice<'a>),
    /// The kernel copies it.
    Copied(Untouched<'a>),
}

/// Order in which the parts of memory are visited.
#[derive(Clone, Copy)]
pub(super) enum Order {
    Upwards,
    Downwards,
}

impl Order {
    /// Returns the first address, and the number, of up to `length` bytes that begin or end with
    /// `at`, as far as the range goes that holds `at`.
    pub(super) fn clip(self, range: DmaRange, at: u64, length: usize) -> Option<(u64, u64)> {
        let steps = u64::try_from(length).ok()?.checked_sub(1)?;
        let (first, last) = match self {
            Self::Upwards => (at, at.saturating_add(steps).min(range.last)),
            Self::Downwards => (at.saturating_sub(steps).max(range.first), at),
        };
        Some((first, last.wrapping_sub(first).wrapping_add(1)))
    }
}

impl From<CopyFailed> for Unreachable {
    fn from(_: CopyFailed) -> Self {
        Self
    }
}

impl<'a> Piece<'a> {
    /// Returns the number of bytes.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Touched(slice) => slice.len(),
            Self::Copied(bytes) => bytes.len(),
        }
    }

    /// Returns `length` bytes from `offset` on.
    pub(super) fn part(self, offset: usize, length: usize) -> Result<Self, Unreachable> {
        match self {
            Self::Touched(slice) => slice.subslice(offset, length).ok().map(Self::Touched),
            Self::Copied(bytes) => bytes.part(offset, length).map(Self::Copied),
        }
        .ok_or(Unreachable)
    }

    /// Copies the piece to the first bytes of a buffer, which may be longer.
    pub(super) fn read(self, data: &mut [u8]) -> Result<(), Unreachable> {
        let data = data.get_mut(..self.len()).ok_or(Unreachable)?;
        match self {
            Self::Touched(slice) => slice.copy_to(data),
            Self::Copied(bytes) => return Ok(bytes.read(data)?),
        };
        Ok(())
    }

    /// Copies the first bytes of a buffer to the piece.
    pub(super) fn write(self, data: &[u8]) -> Result<(), Unreachable> {
        let data = data.get(..self.len()).ok_or(Unreachable)?;
        match self {
            Self::Touched(slice) => slice.copy_from(data),
            Self::Copied(bytes) => return Ok(bytes.write(data)?),
        }
        Ok(())
    }

    /// Copies the piece to one of the same length, which may overlap with it if the order fits.
    pub(super) fn copy_to(self, to: Self, order: Order) -> Result<(), Unreachable> {
        if let (Self::Touched(from), Self::Touched(to)) = (self, to) {
            from.copy_to_volatile_slice(to);
            return Ok(());
        }
        let mut buffer = [0; BUFFER];
        let mut left = self.len();
        while left > 0 {
            let length = left.min(BUFFER);
            let at = match order {
                Order::Upwards => self.len() - left,
                Order::Downwards => left - length,
            };
            self.part(at, length)?.read(&mut buffer)?;
            to.part(at, length)?.write(&buffer)?;
            left -= length;
        }
        Ok(())
    }
}
