// SPDX-License-Identifier: GPL-2.0-only

//! Objects that the driver keeps, as the device did not confirm that it no longer uses them.
//!
//! Losing their memory is the smaller harm: the kernel would give freed memory to another owner,
//! and the device would overwrite it there. They are freed once a reset of the device was confirmed,
//! which ends all its accesses. If that never happens, their memory is lost for good.

use super::ranges::Range;
use crate::interface::layout::MemoryPart;
use core::mem::{
    forget,
    ManuallyDrop, //
};
use kernel::{
    fmt,
    prelude::*,
    sync::atomic::{
        Atomic,
        Full,
        Relaxed, //
    },
};

/// What an object has taken of the device, to be given back with it.
#[derive(Clone, Copy)]
pub(crate) enum Taken {
    /// Nothing: the device did not confirm that it made the object.
    Nothing,
    /// A queue.
    Queue(u32),
    /// A window.
    Window(u16),
    /// A window on a range of device memory, and the range.
    DeviceMemory(u16, MemoryPart, Range),
}

/// An object that is kept. Dropping it keeps its memory for good.
pub(super) struct Orphan {
    /// The reset generation in which the device may still use the memory.
    generation: u32,
    taken: Taken,
    bytes: usize,
    memory: ManuallyDrop<KBox<dyn Send>>,
}

/// The objects that one device has kept, under the lock of admin commands.
pub(super) struct Orphans(KVec<Orphan>);

impl Orphans {
    /// Returns an empty list.
    pub(super) fn new() -> Self {
        Self(KVec::new())
    }

    /// Keeps `memory` of so many bytes, which the device may use in `generation`. If there is no
    /// memory for the list, it is lost for good.
    pub(super) fn add<T: Send + 'static>(
        &mut self,
        kept: &Kept,
        generation: u32,
        taken: Taken,
        bytes: usize,
        memory: T,
    ) {
        kept.count(taken, bytes);
        // The places first. The allocator would drop a value for which it has none, and the memory
        // would be freed.
        let place = self.0.reserve(1, GFP_KERNEL);
        let (Ok(()), Ok(place)) = (place, KBox::<T>::new_uninit(GFP_KERNEL)) else {
            return forget(memory);
        };
        let memory: KBox<T> = KBox::write(place, memory);
        // Cannot fail: there is room.
        let _ = self.0.push_within_capacity(Orphan {
            generation,
            taken,
            bytes,
            memory: ManuallyDrop::new(memory),
        });
    }

    /// Takes all objects out, if a reset that led to `generation` has ended what the device did with
    /// each of them.
    pub(super) fn take_older(&mut self, generation: u32) -> KVec<Orphan> {
        // Objects are kept of one generation, unless a reset came between two of them. Those then
        // wait for the next reset, as a list of their own would need memory.
        match self.0.iter().any(|orphan| orphan.generation == generation) {
            true => KVec::new(),
            false => core::mem::replace(&mut self.0, KVec::new()),
        }
    }
}

impl Drop for Orphans {
    /// Lists what is left as lost: the driver leaves a device that has confirmed no reset.
    fn drop(&mut self) {
        if self.0.is_empty() {
            return;
        }
        let lost = Lost {
            _orphans: core::mem::replace(&mut self.0, KVec::new()),
            before: Atomic::new(0),
        };
        // Without memory for the list nothing refers to them.
        if let Ok(lost) = KBox::new(lost, GFP_KERNEL) {
            let lost: &'static Lost = KBox::leak(lost);
            let before = LOST.xchg(core::ptr::from_ref(lost).addr(), Full);
            lost.before.store(before, Relaxed);
        }
    }
}

/// What one device had kept when the driver left it. Never freed.
struct Lost {
    _orphans: KVec<Orphan>,
    /// Address of the `Lost` before, or 0.
    before: Atomic<usize>,
}

/// Address of the last [`Lost`]. Nobody reads the list. The kernel's leak detector would report
/// memory to which nothing refers, and a debugger could not find it.
static LOST: Atomic<usize> = Atomic::new(0);

impl Orphan {
    /// Returns what it has taken of the device.
    pub(super) fn taken(&self) -> Taken {
        self.taken
    }

    /// Frees the memory.
    pub(super) fn free(self, kept: &Kept) {
        kept.discount(self.taken, self.bytes);
        drop(ManuallyDrop::into_inner(self.memory));
    }
}

/// Counts of what one device has kept since it was bound, and not freed.
pub(crate) struct Kept {
    queues: Atomic<u64>,
    buffers: Atomic<u64>,
    bytes: Atomic<u64>,
}

impl Kept {
    /// Returns counts of 0.
    pub(super) const fn new() -> Self {
        Self {
            queues: Atomic::new(0),
            buffers: Atomic::new(0),
            bytes: Atomic::new(0),
        }
    }

    fn count(&self, taken: Taken, bytes: usize) {
        self.number(taken).fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    fn discount(&self, taken: Taken, bytes: usize) {
        self.number(taken).fetch_sub(1, Relaxed);
        self.bytes.fetch_sub(bytes as u64, Relaxed);
    }

    fn number(&self, taken: Taken) -> &Atomic<u64> {
        match taken {
            Taken::Queue(_) => &self.queues,
            Taken::Nothing | Taken::Window(_) | Taken::DeviceMemory(..) => &self.buffers,
        }
    }

    /// Returns the bytes of all of them.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Writes a line for each count.
    pub(crate) fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "queues {}", self.queues.load(Relaxed))?;
        writeln!(f, "buffers {}", self.buffers.load(Relaxed))?;
        writeln!(f, "bytes {}", self.bytes())
    }
}
