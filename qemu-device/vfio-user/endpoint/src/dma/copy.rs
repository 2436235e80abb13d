// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Copies from and to guest memory.
//!
//! Memory that is in one piece, almost always, takes one look-up. Other memory is gathered range by
//! range. A copy that fails has no effect: all bytes are looked at before the first one is copied.

use vm_memory::VolatileSlice;

use super::{Access, DmaMap, Unreachable};

/// Order in which the pieces of scattered memory are visited.
#[derive(Clone, Copy)]
enum Order {
    Upwards,
    Downwards,
}

impl DmaMap {
    /// Copies guest memory out.
    ///
    /// # Errors
    ///
    /// Fails, without effect, unless all bytes can be reached.
    #[inline]
    pub fn read(&self, from: u64, data: &mut [u8]) -> Result<(), Unreachable> {
        self.each_piece(from, data.len(), Access::Read, |at, piece| {
            // No more than the piece has, although more bytes of the buffer may be left.
            piece.copy_to(data.get_mut(at..).unwrap_or_default());
            Ok(())
        })
    }

    /// Copies into guest memory.
    ///
    /// # Errors
    ///
    /// Fails, without effect, unless all bytes can be reached.
    #[inline]
    pub fn write(&self, to: u64, data: &[u8]) -> Result<(), Unreachable> {
        self.each_piece(to, data.len(), Access::Write, |at, piece| {
            piece.copy_from(data.get(at..).unwrap_or_default());
            Ok(())
        })
    }

    /// Copies guest memory to memory of the device.
    ///
    /// # Errors
    ///
    /// Fails, without effect, unless all bytes can be reached.
    #[inline]
    pub fn copy_out(&self, from: u64, to: VolatileSlice<'_>) -> Result<(), Unreachable> {
        self.each_piece(from, to.len(), Access::Read, |at, piece| {
            piece.copy_to_volatile_slice(part(to, at, piece.len())?);
            Ok(())
        })
    }

    /// Copies memory of the device to guest memory.
    ///
    /// # Errors
    ///
    /// Fails, without effect, unless all bytes can be reached.
    #[inline]
    pub fn copy_in(&self, from: VolatileSlice<'_>, to: u64) -> Result<(), Unreachable> {
        self.each_piece(to, from.len(), Access::Write, |at, piece| {
            part(from, at, piece.len())?.copy_to_volatile_slice(piece);
            Ok(())
        })
    }

    /// Copies `length` bytes of guest memory to guest memory, as `memmove` does.
    ///
    /// # Errors
    ///
    /// Fails, without effect, unless all bytes can be reached.
    #[inline]
    pub fn copy(&self, from: u64, to: u64, length: usize) -> Result<(), Unreachable> {
        if let Some(source) = self.whole(from, length, Access::Read)
            && let Some(destination) = self.whole(to, length, Access::Write)
        {
            source.copy_to_volatile_slice(destination);
            return Ok(());
        }
        self.copy_scattered(from, to, length)
    }

    /// Copies guest memory that is not in one piece on each side, or cannot be reached.
    #[cold]
    fn copy_scattered(&self, from: u64, to: u64, length: usize) -> Result<(), Unreachable> {
        // Both sides before the first byte, since a failure must have no effect.
        self.check(from, length, Access::Read)?;
        self.check(to, length, Access::Write)?;
        // Memory that overlaps must be copied from the end if it moves up. Otherwise a piece would
        // overwrite the source of the next one. Within a piece the copy itself takes care.
        let order = match from < to {
            true => Order::Downwards,
            false => Order::Upwards,
        };
        self.gather(from, length, Access::Read, order, |at, source| {
            let to = advance(to, at)?;
            self.gather(to, source.len(), Access::Write, order, |at, destination| {
                part(source, at, destination.len())?.copy_to_volatile_slice(destination);
                Ok(())
            })
        })
    }

    /// Calls `each` with all `length` bytes at `address`, in pieces, the first one first. Does not
    /// call it at all unless all bytes can be reached.
    #[inline]
    fn each_piece<'a>(
        &'a self,
        address: u64,
        length: usize,
        access: Access,
        mut each: impl FnMut(usize, VolatileSlice<'a>) -> Result<(), Unreachable>,
    ) -> Result<(), Unreachable> {
        match self.whole(address, length, access) {
            Some(piece) => each(0, piece),
            None => self.each_scattered(address, length, access, each),
        }
    }

    /// Does so for memory that is not in one piece, or cannot be reached.
    #[cold]
    fn each_scattered<'a>(
        &'a self,
        address: u64,
        length: usize,
        access: Access,
        each: impl FnMut(usize, VolatileSlice<'a>) -> Result<(), Unreachable>,
    ) -> Result<(), Unreachable> {
        self.check(address, length, access)?;
        self.gather(address, length, access, Order::Upwards, each)
    }

    /// Fails unless `access` may be made to all the bytes.
    fn check(&self, address: u64, length: usize, access: Access) -> Result<(), Unreachable> {
        let length = u64::try_from(length).map_err(|_| Unreachable)?;
        self.reaches(address, length, access)
            .then_some(())
            .ok_or(Unreachable)
    }

    /// Calls `each` with the memory at `address`, piece after piece, and with the number of bytes
    /// before the piece. The pieces are `length` bytes together.
    fn gather<'a>(
        &'a self,
        address: u64,
        length: usize,
        access: Access,
        order: Order,
        mut each: impl FnMut(usize, VolatileSlice<'a>) -> Result<(), Unreachable>,
    ) -> Result<(), Unreachable> {
        let mut left = length;
        // The last byte that is left, not the first one behind it: that could be another mapping,
        // or none.
        while let Some(steps) = left.checked_sub(1) {
            let piece = match order {
                Order::Upwards => self.stretch(advance(address, length - left)?, left, access),
                Order::Downwards => self.stretch_back(advance(address, steps)?, left, access),
            }
            .ok_or(Unreachable)?;
            let before = match order {
                Order::Upwards => length - left,
                Order::Downwards => left - piece.len(),
            };
            each(before, piece)?;
            left -= piece.len();
        }
        Ok(())
    }
}

/// Returns `length` bytes of memory from `offset` on.
fn part(
    memory: VolatileSlice<'_>,
    offset: usize,
    length: usize,
) -> Result<VolatileSlice<'_>, Unreachable> {
    memory.subslice(offset, length).map_err(|_| Unreachable)
}

/// Returns the address that lies `bytes` further. Fails beyond 2^64.
fn advance(address: u64, bytes: usize) -> Result<u64, Unreachable> {
    u64::try_from(bytes)
        .ok()
        .and_then(|bytes| address.checked_add(bytes))
        .ok_or(Unreachable)
}
