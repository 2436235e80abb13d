// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The behaviour of a PCI function: all that a device writes itself.
//!
//! A [`Function`] reads and writes its trapped registers, and resets itself. All else is in
//! [`Endpoint`](crate::Endpoint). Memory of the guest is behind a [`Bus`] that checks each address.

use std::time::Instant;

use crate::dma::{DmaMap, Unreachable};
use crate::interrupts::Vectors;

/// Behaviour of a PCI function.
///
/// Accesses lie inside the BAR. A guest's have 1, 2, 4 or 8 bytes; a client may send any length, so
/// the function must handle every length. No method may wait.
pub trait Function {
    /// Reads a trapped part of a BAR. Bytes that it does not fill in read as they were passed: 0.
    fn read(&mut self, bar: u32, offset: u64, data: &mut [u8], bus: &mut Bus);

    /// Writes to a trapped part of a BAR.
    fn write(&mut self, bar: u32, offset: u64, data: &[u8], bus: &mut Bus);

    /// Returns all registers to their values after power-on. Bus mastering is off.
    fn reset(&mut self, bus: &mut Bus);

    /// Takes a change of bus mastering, which a function with work of its own needs. While it is
    /// off, the bus reaches no memory and raises no interrupt.
    fn set_bus_master(&mut self, _on: bool, _bus: &mut Bus) {}

    /// Takes note of an access of any region that came by message. A read has been carried out, a
    /// write not yet: its line then stands before those that the write causes.
    fn note(&self, _access: &Trapped<'_>) {}
}

/// A function that also works between accesses, on the thread of a [`Worker`](crate::Worker).
///
/// ```
/// use ringbar_endpoint::function::{Bus, Function, Next, Work};
///
/// /// Counts down from the value that the guest has written, then raises vector 0.
/// struct Countdown(u32);
///
/// impl Function for Countdown {
///     fn read(&mut self, _bar: u32, _offset: u64, data: &mut [u8], _bus: &mut Bus) {
///         data.fill(self.0.to_le_bytes()[0]);
///     }
///     fn write(&mut self, _bar: u32, _offset: u64, data: &[u8], _bus: &mut Bus) {
///         self.0 = data.first().copied().unwrap_or(0).into();
///     }
///     fn reset(&mut self, _bus: &mut Bus) {
///         self.0 = 0;
///     }
/// }
///
/// impl Work for Countdown {
///     fn work(&mut self, bus: &mut Bus) -> Next {
///         match self.0 {
///             0 => return Next::Wait,
///             1 => bus.interrupt(0),
///             _ => {}
///         }
///         self.0 -= 1;
///         Next::Now
///     }
///     fn has_work(&self) -> bool {
///         self.0 > 0
///     }
/// }
/// ```
pub trait Work: Function {
    /// Does a bounded piece of work. Accesses, resets and the end of DMA mappings wait for it.
    fn work(&mut self, bus: &mut Bus) -> Next;

    /// Checks whether the thread must be woken, as an access or a reset may have made work.
    fn has_work(&self) -> bool;
}

/// Time of the next call of [`Work::work`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Next {
    /// As soon as the requests that wait have been carried out.
    Now,
    /// After other threads have had the processor. For a function that only looks for work: on a
    /// machine with few processors the thread that would make work may wait for this one.
    Yield,
    /// At this time, or after a request that makes work.
    At(Instant),
    /// After a request that makes work.
    Wait,
}

/// An access that came by message.
#[derive(Clone, Copy, Debug)]
pub struct Trapped<'a> {
    /// Whether it is a write.
    pub write: bool,
    /// Region index of VFIO.
    pub region: u32,
    /// Offset in the region.
    pub offset: u64,
    /// Bytes that are read or written.
    pub data: &'a [u8],
}

/// The outside of a function: memory of the guest, and the function's interrupts.
#[derive(Debug)]
pub struct Bus {
    pub(crate) dma: DmaMap,
    pub(crate) vectors: Vectors,
    pub(crate) master: bool,
    /// Whether interrupts are on, as far as the client need not know it.
    pub(crate) may_interrupt: bool,
}

impl Bus {
    /// Makes the outside of a function after power-on: no memory, and bus mastering off.
    pub(crate) fn new(vectors: Vectors) -> Self {
        Self {
            dma: DmaMap::new(),
            vectors,
            master: false,
            may_interrupt: true,
        }
    }

    /// Copies memory of the guest. Copies none of it if not all can be reached.
    pub fn read(&self, address: u64, data: &mut [u8]) -> Result<(), Unreachable> {
        self.memory().ok_or(Unreachable)?.read(address, data)
    }

    /// Copies into memory of the guest. Copies nothing if not all can be reached.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), Unreachable> {
        self.memory().ok_or(Unreachable)?.write(address, data)
    }

    /// Returns the memory of the guest; `None` while bus mastering is off.
    #[inline]
    pub fn memory(&self) -> Option<&DmaMap> {
        self.master.then_some(&self.dma)
    }

    /// Raises an interrupt. While bus mastering is off it is dropped: an MSI is a write to memory. So it
    /// is after a reset of the function, until the guest switches MSI-X or MSI on again.
    pub fn interrupt(&mut self, vector: usize) {
        if self.master && self.may_interrupt {
            self.vectors.raise(vector);
        }
    }
}
