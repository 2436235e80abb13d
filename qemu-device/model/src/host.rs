// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Services that the model needs from the process in which it runs.

use ringbar_spec::ring::{Completion, Descriptor};

/// A DMA address, as the guest's driver wrote it.
pub type DmaAddress = u64;

/// The process around the model: guest memory, device memory, and the words that are shared with
/// the driver side.
///
/// No method hands out references to memory, as the other side may change it at any time:
/// everything is copied. An implementation must not block on the guest.
///
/// A copy fails without effect if one of its bytes cannot be [reached](Self::unreachable). It fails
/// in the middle, with any part written, if memory that could be reached loses its bytes meanwhile.
pub trait Host {
    /// Returns the first of `length` bytes at `address` that cannot be read, or written if `write`
    /// is set.
    fn unreachable(&self, address: DmaAddress, length: u64, write: bool) -> Option<DmaAddress>;

    /// Copies bytes out of memory.
    fn read(&self, from: Location, data: &mut [u8]) -> Result<(), Unreachable>;

    /// Copies bytes to memory.
    fn write(&self, to: Location, data: &[u8]) -> Result<(), Unreachable>;

    /// Copies `length` bytes from one place to another, as `memmove` does.
    fn copy(&self, from: Location, to: Location, length: usize) -> Result<(), Unreachable>;

    /// Loads a shared word of BAR 0 that the driver side writes. `offset` counts from the BAR's
    /// start. Later reads see everything that the driver side wrote before the word (acquire).
    fn load(&self, offset: usize) -> u32;

    /// Stores a shared word of BAR 0 that the device side writes. A driver side that sees the word
    /// also sees everything that was written before it (release).
    fn store(&self, offset: usize, value: u32);

    /// Copies bytes out of the shared pages. `offset` counts from the start of BAR 0. The copy
    /// stays behind all loads of words before it.
    fn read_shared(&self, offset: usize, data: &mut [u8]);

    /// Copies bytes to the shared pages. A driver side that sees a word that is stored afterwards
    /// also sees them.
    fn write_shared(&self, offset: usize, data: &[u8]);

    /// Orders all accesses before it against all accesses after it: `fence(SeqCst)`.
    fn fence(&self);

    /// Returns the time, by the clock of the times that accesses are given with. Asked only while
    /// interrupts are held back.
    fn now(&self) -> u64;

    /// Returns whether [`note`](Self::note)s are wanted. Asked once per step.
    fn is_watched(&self) -> bool {
        false
    }

    /// Takes a note of the device's work. Notes are for readers of records, and have no effect on
    /// the device.
    fn note(&self, _note: Note<'_>) {}
}

/// A note of the device's work.
#[derive(Clone, Copy, Debug)]
pub enum Note<'a> {
    /// The device begins to carry out a descriptor of a queue, which it has copied.
    Begins(u16, &'a Descriptor),
    /// The device has carried out a descriptor; this will be its completion.
    Ends(u16, &'a Completion),
}

/// Location of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// Memory of the guest.
    Guest(DmaAddress),
    /// The device memory, by offset. The model has checked that the bytes lie inside.
    DeviceMemory(u64),
}

/// Failure to reach the memory of a DMA address, or to copy all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable;
