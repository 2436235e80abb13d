// SPDX-License-Identifier: GPL-2.0-only

//! Memory that is never freed, as the device did not confirm that it no longer writes it.
//!
//! Losing it is the smaller harm: the kernel would give freed memory to another owner, and the
//! device would overwrite it there.

use kernel::{
    dma::Coherent,
    fmt,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// Counts of the memory that one device has kept since it was bound.
pub(crate) struct Kept {
    queues: Atomic<u64>,
    buffers: Atomic<u64>,
    bytes: Atomic<u64>,
}

impl Kept {
    /// Returns counts of 0.
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
            self.bytes.fetch_add(ring.size() as u64, Relaxed);
            core::mem::forget(ring);
        }
    }

    /// Keeps a DMA buffer.
    pub(crate) fn buffer(&self, memory: Coherent<[u8]>) {
        let bytes = memory.size();
        self.memory(memory, bytes);
    }

    /// Keeps other memory of so many bytes, which counts as a buffer.
    pub(crate) fn memory<T>(&self, memory: T, bytes: usize) {
        self.count_buffer(bytes);
        core::mem::forget(memory);
    }

    /// Counts a buffer of so many bytes, whose owner keeps the memory.
    pub(crate) fn count_buffer(&self, bytes: usize) {
        self.buffers.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
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
