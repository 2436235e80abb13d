// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Set-up blocks of queues and windows (data sheet 5). Fields that differ from user to user, such as
//! number and domain, are left 0.

use ringbar_spec::ring::{Completion, Descriptor};
use ringbar_spec::setup::{QueueSetup, Segment, WindowKind, WindowSetup};

/// Returns the bytes of both rings, each with this many entries.
pub const fn ring_bytes(entries: u32) -> usize {
    entries as usize * (size_of::<Descriptor>() + size_of::<Completion>())
}

/// Describes a queue whose rings begin at a DMA address, first the submission ring. Each has this
/// many entries.
pub const fn queue(rings: u64, entries: u32) -> QueueSetup {
    QueueSetup {
        queue: 0,
        domain: 0,
        submission_ring: rings,
        completion_ring: rings + entries as u64 * size_of::<Descriptor>() as u64,
        submission_entries: entries,
        completion_entries: entries,
        vector: 0,
        reserved: [0; 7],
    }
}

/// Describes a window on guest memory, in segments.
pub fn segments(rights: u32, list: &[Segment]) -> WindowSetup {
    WindowSetup {
        kind: WindowKind::SEGMENTS.0,
        rights,
        length: list.iter().map(|segment| segment.length).sum(),
        segments: list.len() as u32,
        ..WindowSetup::default()
    }
}

/// Describes a window on a range of the device memory.
pub fn device_memory(rights: u32, offset: u64, length: u64) -> WindowSetup {
    WindowSetup {
        kind: WindowKind::DEVICE_MEMORY.0,
        rights,
        length,
        offset,
        ..WindowSetup::default()
    }
}
