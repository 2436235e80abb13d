// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Blocks in memory that admin commands name by their DMA address (data sheet 5). Shared with the
//! kernel module.
//!
//! Only the driver writes them. The device copies a block once, checks the copy and keeps it. The
//! driver may reuse the memory as soon as the command is answered.

use core::mem::size_of;
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Alignment of the blocks, and of rings, in bytes.
pub const ALIGNMENT: u64 = 64;
/// Most windows that are open at once, over all queues. Window 0 does not exist.
pub const MAX_WINDOWS: u16 = 1024;
/// Most segments of a window.
pub const MAX_SEGMENTS: u32 = 4096;

/// Description of a queue, for `regs::QUEUE_START`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct QueueSetup {
    /// Number of the queue.
    pub queue: u32,
    /// Protection domain: the queue reaches the windows of the same domain and no others.
    pub domain: u32,
    /// DMA address of the submission ring, aligned to [`ALIGNMENT`].
    pub submission_ring: u64,
    /// DMA address of the completion ring, aligned to [`ALIGNMENT`].
    pub completion_ring: u64,
    /// Entries of the submission ring.
    pub submission_entries: u32,
    /// Entries of the completion ring.
    pub completion_entries: u32,
    /// Interrupt vector that announces completions.
    pub vector: u32,
    /// Must be 0.
    pub reserved: [u32; 7],
}
const _: () = assert!(size_of::<QueueSetup>() == 64);

/// Description of a window, for `regs::WINDOW_OPEN`. [`Segment`]s follow it if its [`kind`] has
/// them.
///
/// [`kind`]: WindowSetup::kind
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct WindowSetup {
    /// Number of the window, from 1 to the device's limit.
    pub window: u32,
    /// Protection domain: queues of the same domain reach the window, others do not.
    pub domain: u32,
    /// A [`WindowKind`].
    pub kind: u32,
    /// [`RIGHT_READ`], [`RIGHT_WRITE`] or both.
    pub rights: u32,
    /// Length in bytes. For [`WindowKind::SEGMENTS`] the sum of the segments' lengths.
    pub length: u64,
    /// [`WindowKind::DEVICE_MEMORY`]: first byte of the range. Others: 0.
    pub offset: u64,
    /// [`WindowKind::SEGMENTS`]: number of segments. Others: 0.
    pub segments: u32,
    /// Must be 0.
    pub reserved: [u32; 7],
}
const _: () = assert!(size_of::<WindowSetup>() == 64);

/// A range of memory that the device may reach.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Segment {
    /// DMA address of the first byte.
    pub address: u64,
    /// Length in bytes, not 0.
    pub length: u64,
}
const _: () = assert!(size_of::<Segment>() == 16);

/// Right of descriptors to read the window.
pub const RIGHT_READ: u32 = 1 << 0;
/// Right of descriptors to write the window.
pub const RIGHT_WRITE: u32 = 1 << 1;

/// Kind of memory behind a window. Any value can arrive; the constants are those with a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowKind(pub u32);

impl WindowKind {
    /// Memory of the guest, in segments.
    pub const SEGMENTS: Self = Self(1);
    /// A range of the device memory.
    pub const DEVICE_MEMORY: Self = Self(2);
}
