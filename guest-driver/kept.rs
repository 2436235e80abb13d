// SPDX-License-Identifier: GPL-2.0-only

//! Memory that is kept for good: the device did not say that it no longer writes it.

use crate::user_memory::UserMemory;
use kernel::{
    dma::Coherent,
    fmt,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// What was kept of one device since it was bound.
pub(crate) struct Kept {
    queues: Atomic<u64>,
    buffers: Atomic<u64>,
    bytes: Atomic<u64>,
}

impl Kept {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self {
            queues: Atomic::new(0),
            buffers: Atomic::new(0),
            bytes: Atomic::new(0),
        }
    }

    /// Keeps the rings of a queue.
    pub(crate) fn queue(&self, rings: [Coherent<[u8]>; 2]) {
        self.queues.fetch_add(1, Relaxed);
        for ring in rings {
            let bytes = ring.size();
            self.forget(ring, bytes);
        }
    }

    /// Keeps a DMA buffer.
    pub(crate) fn buffer(&self, memory: Coherent<[u8]>) {
        let bytes = memory.size();
        self.memory(memory, bytes);
    }

    /// Keeps memory of a process pinned, which counts as a buffer.
    pub(crate) fn user_memory(&self, memory: UserMemory) {
        self.buffers.fetch_add(1, Relaxed);
        self.bytes.fetch_add(memory.size() as u64, Relaxed);
        memory.keep();
    }

    /// Keeps other memory of so many bytes, which counts as a buffer.
    pub(crate) fn memory<T>(&self, memory: T, bytes: usize) {
        self.buffers.fetch_add(1, Relaxed);
        self.forget(memory, bytes);
    }

    /// Bytes of all of them.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    fn forget<T>(&self, memory: T, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
        // Better lost than overwritten while somebody else has it.
        core::mem::forget(memory);
    }

    /// Writes a line for each count.
    pub(crate) fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "queues {}", self.queues.load(Relaxed))?;
        writeln!(f, "buffers {}", self.buffers.load(Relaxed))?;
        writeln!(f, "bytes {}", self.bytes())
    }
}
