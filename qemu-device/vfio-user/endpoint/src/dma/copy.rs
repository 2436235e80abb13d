// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Copies from and to guest memory.
//!
//! Memory that is in one piece and may be touched, almost always, takes one look-up. Other memory is
//! gathered range by range. All bytes are looked at before the first one is copied.

use vm_memory::VolatileSlice;

use super::piece::{Order, Piece};
use super::{Access, DmaMap, Unreachable};

impl DmaMap {
    /// Copies guest memory out.
    ///
    /// # Errors
    ///
    /// Fails, without effect, unless all bytes can be reached. Fails as well if a file loses them
    /// meanwhile; a part of the buffer may then hold them.
    #[inline]
    pub fn read(&self, from: u64, data: &mut [u8]) -> Result<(), Unreachable> {
        match self.whole(from, data.len(), Access::Read) {
            Some(piece) => {
                piece.copy_to(data);
                Ok(())
            }
            None => self.read_scattered(from, data),
        }
    }

    /// Copies into guest memory.
    ///
    /// # Errors
    ///
    /// Fails, without effect, unless all bytes can be reached. Fails as well if a file loses them
    /// meanwhile; a part may then be written.
    #[inline]
    pub fn write(&self, to: u64, data: &[u8]) -> Result<(), Unreachable> {
        match self.whole(to, data.len(), Access::Write) {
            Some(piece) => {
                piece.copy_from(data);
                Ok(())
            }
            None => self.write_scattered(to, data),
        }
    }

    /// Copies guest memory to memory of the device.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    #[inline]
    pub fn copy_out(&self, from: u64, to: VolatileSlice<'_>) -> Result<(), Unreachable> {
        match self.whole(from, to.len(), Access::Read) {
            Some(piece) => {
                piece.copy_to_volatile_slice(to);
                Ok(())
            }
            None => self.copy_out_scattered(from, to),
        }
    }

    /// Copies memory of the device to guest memory.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    #[inline]
    pub fn copy_in(&self, from: VolatileSlice<'_>, to: u64) -> Result<(), Unreachable> {
        match self.whole(to, from.len(), Access::Write) {
            Some(piece) => {
                from.copy_to_volatile_slice(piece);
                Ok(())
            }
            None => self.copy_in_scattered(from, to),
        }
    }

    /// Copies `length` bytes of guest memory to guest memory, as `memmove` does.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
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

    /// Copies out memory that is not in one piece, may not be touched, or cannot be reached. So do
    /// the functions below.
    #[cold]
    fn read_scattered(&self, from: u64, data: &mut [u8]) -> Result<(), Unreachable> {
        self.each_piece(from, data.len(), Access::Read, |at, piece| {
            // No more than the piece has, although more bytes of the buffer may be left.
            piece.read(data.get_mut(at..).unwrap_or_default())
        })
    }

    #[cold]
    fn write_scattered(&self, to: u64, data: &[u8]) -> Result<(), Unreachable> {
        self.each_piece(to, data.len(), Access::Write, |at, piece| {
            piece.write(data.get(at..).unwrap_or_default())
        })
    }

    #[cold]
    fn copy_out_scattered(&self, from: u64, to: VolatileSlice<'_>) -> Result<(), Unreachable> {
        let to = Piece::Touched(to);
        self.each_piece(from, to.len(), Access::Read, |at, piece| {
            piece.copy_to(to.part(at, piece.len())?, Order::Upwards)
        })
    }

    #[cold]
    fn copy_in_scattered(&self, from: VolatileSlice<'_>, to: u64) -> Result<(), Unreachable> {
        let from = Piece::Touched(from);
        self.each_piece(to, from.len(), Access::Write, |at, piece| {
            from.part(at, piece.len())?.copy_to(piece, Order::Upwards)
        })
    }

    #[cold]
    fn copy_scattered(&self, from: u64, to: u64, length: usize) -> Result<(), Unreachable> {
        // Both sides before the first byte, since a failure must have no effect.
        self.check(from, length, Access::Read)?;
        self.check(to, length, Access::Write)?;
        // Memory that overlaps must be copied from the end if it moves up. Otherwise a piece would
        // overwrite the source of the next one.
        let order = match from < to {
            true => Order::Downwards,
            false => Order::Upwards,
        };
        self.gather(from, length, Access::Read, order, |at, source| {
            let to = advance(to, at)?;
            self.gather(to, source.len(), Access::Write, order, |at, destination| {
                source
                    .part(at, destination.len())?
                    .copy_to(destination, order)
            })
        })
    }

    /// Calls `each` with all `length` bytes at `address`, in pieces, the first one first. Does not
    /// call it at all unless all bytes can be reached.
    fn each_piece<'a>(
        &'a self,
        address: u64,
        length: usize,
        access: Access,
        each: impl FnMut(usize, Piece<'a>) -> Result<(), Unreachable>,
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
        mut each: impl FnMut(usize, Piece<'a>) -> Result<(), Unreachable>,
    ) -> Result<(), Unreachable> {
        let mut left = length;
        // The last byte that is left, not the first one behind it: that could be another mapping,
        // or none.
        while let Some(steps) = left.checked_sub(1) {
            let at = match order {
                Order::Upwards => advance(address, length - left)?,
                Order::Downwards => advance(address, steps)?,
            };
            let piece = self.piece(at, left, access, order).ok_or(Unreachable)?;
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

/// Returns the address that lies `bytes` further. Fails beyond 2^64.
fn advance(address: u64, bytes: usize) -> Result<u64, Unreachable> {
    u64::try_from(bytes)
        .ok()
        .and_then(|bytes| address.checked_add(bytes))
        .ok_or(Unreachable)
}
