// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the model needs from the process it lives in.

use ringbar_spec::ring::{Completion, Descriptor};

/// A DMA address, as the guest's driver gave it.
pub type DmaAddress = u64;

/// The process around the model: memory of both kinds, and the words that are shared with the
/// driver side.
///
/// Nothing here hands out references to memory, because the other side may change it at any time:
/// everything is copied. An implementation must not block on the guest.
pub trait Host {
    /// The first of `length` bytes at `address` that cannot be read, or written if `write` is set.
    fn unreachable(&self, address: DmaAddress, length: u64, write: bool) -> Option<DmaAddress>;

    /// Copies bytes out of one place of memory. Fails without effect if one cannot be reached.
    fn read(&self, from: Place, data: &mut [u8]) -> Result<(), Unreachable>;

    /// Copies bytes to one place of memory. Fails without effect if one cannot be reached.
    fn write(&self, to: Place, data: &[u8]) -> Result<(), Unreachable>;

    /// Copies `length` bytes from one place to another, as `memmove` does. Fails without effect if
    /// one cannot be reached.
    fn copy(&self, from: Place, to: Place, length: usize) -> Result<(), Unreachable>;

    /// Loads a shared word of BAR 0 that the driver side writes; `offset` counts from the BAR's
    /// start. Everything that the driver side wrote before the word is seen by later reads
    /// (acquire).
    fn load(&self, offset: usize) -> u32;

    /// Stores a shared word of BAR 0 that the device side writes. Everything written before it is
    /// seen by whoever sees the word (release).
    fn store(&self, offset: usize, value: u32);

    /// Copies bytes out of the shared pages; `offset` counts from the start of BAR 0. Comes after the
    /// load of a word that came before it.
    fn read_shared(&self, offset: usize, data: &mut [u8]);

    /// Copies bytes to the shared pages. Whoever sees a word that is stored after it sees them.
    fn write_shared(&self, offset: usize, data: &[u8]);

    /// Orders everything before against everything after: `fence(SeqCst)`.
    fn fence(&self);

    /// The time, of the clock that accesses are given with. Asked while interrupts are held back.
    fn now(&self) -> u64;

    /// Whether somebody wants [`note`](Self::note)s. Asked once in a step.
    fn is_watched(&self) -> bool {
        false
    }

    /// Hears what the device does. That is for people who watch, and has no effect on the device.
    fn note(&self, _note: Note<'_>) {}
}

/// What the device does.
#[derive(Clone, Copy, Debug)]
pub enum Note<'a> {
    /// It begins to carry out a descriptor of a queue, which it has copied.
    Begins(u16, &'a Descriptor),
    /// It has carried one out; this will be its completion.
    Ends(u16, &'a Completion),
}

/// Where bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Memory of the guest.
    Guest(DmaAddress),
    /// The device memory, by offset. The model has checked that it lies inside.
    DeviceMemory(u64),
}

/// Memory that a DMA address stands for cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable;
