// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The pages of memory that both sides share: two for each queue (data sheet 6), and one for the
//! driver (data sheet 5). Shared with the kernel module.
//!
//! No value of a page exists, and no reference to one: the other side changes the memory at any
//! time. The structures are there for the offsets of their fields. Each side accesses the memory in
//! its own way: the device with atomics, a process with volatile accesses, the driver with those
//! for a BAR. The gaps are 0 (data sheet 2).

use super::layout::{DOORBELL_PAGES, PAGE_LENGTH, PAGE_STRIDE, REPORT_PAGE, STATUS_PAGES};
use super::ring::{Completion, INLINE_LENGTH};
use core::mem::{offset_of, size_of};

/// Words of eight bytes in the inline copy of a descriptor.
pub const INLINE_WORDS: usize = INLINE_LENGTH / size_of::<u64>();

/// The report page, which the device side writes for the driver (data sheet 5). It saves traps: all
/// of it can be read from registers too.
#[repr(C)]
pub struct ReportPage {
    /// Outcome of the last admin command: see [`next_outcome`]. 0 before the first.
    pub outcome: u32,
    _gap_4: [u32; 15],
    /// Copy of `regs::FEATURES`.
    pub features: u64,
    /// Copy of `regs::QUEUE_LIMITS`.
    pub queue_limits: u32,
    /// Copy of `regs::WINDOW_LIMITS`.
    pub window_limits: u32,
    /// Copy of `regs::LENGTH_LIMIT`.
    pub length_limit: u32,
    /// Copy of `regs::BOOT_NUMBER`.
    pub boot_number: u32,
    _gap_58: [u32; 1002],
}

/// A queue's doorbell page, which the driver side writes (data sheet 6).
#[repr(C)]
pub struct DoorbellPage {
    /// Descriptors ever submitted, modulo 2^32.
    pub submission_tail: u32,
    /// Bit 0: the only descriptor in flight is also in [`Self::inline_descriptor`].
    pub submission_inline: u32,
    _gap_8: [u32; 2],
    /// The first [`INLINE_LENGTH`] bytes of that descriptor.
    pub inline_descriptor: [u64; INLINE_WORDS],
    _gap_38: [u32; 2],
    /// Completions ever taken, modulo 2^32.
    pub completion_head: u32,
    _gap_44: [u32; 15],
    /// Number of the completion at which the process asks for an interrupt (data sheet 10).
    pub interrupt_at: u32,
    /// The same for the driver, which alone writes it (data sheet 10).
    pub driver_interrupt_at: u32,
    _gap_88: [u32; 990],
}

/// A queue's status page, which the device side writes (data sheet 6).
#[repr(C)]
pub struct StatusPage {
    /// Completions ever posted, modulo 2^32.
    pub completion_tail: u32,
    _gap_4: [u32; 3],
    /// The completion that was posted last.
    pub inline_completion: Completion,
    _gap_20: [u32; 8],
    /// Bit 0: the queue sleeps. The device then sees descriptors only after a kick.
    pub sleeping: u32,
    /// [`QUEUE_STOPPED`], [`QUEUE_RUNNING`], or the `error::ErrorCode` that stopped the queue.
    pub queue_state: u32,
    /// Copy of `regs::RESET_GENERATION` that can be read without a trap (data sheet 12).
    pub generation: u32,
    _gap_4c: [u32; 13],
    /// Polling passes of the device over the queue, modulo 2^32.
    pub heartbeat: u32,
    _gap_84: [u32; 991],
}

// Otherwise a gap would be missing or wrong, and the fields after it would be elsewhere.
const _: () = assert!(size_of::<ReportPage>() == PAGE_LENGTH);
const _: () = assert!(size_of::<DoorbellPage>() == PAGE_LENGTH);
const _: () = assert!(size_of::<StatusPage>() == PAGE_LENGTH);

/// Offset in BAR 0 of [`ReportPage::outcome`].
pub const OUTCOME: usize = REPORT_PAGE + offset_of!(ReportPage, outcome);
/// Offset in BAR 0 of [`ReportPage::features`].
pub const REPORTED_FEATURES: usize = REPORT_PAGE + offset_of!(ReportPage, features);
/// Offset in BAR 0 of [`ReportPage::queue_limits`].
pub const REPORTED_QUEUE_LIMITS: usize = REPORT_PAGE + offset_of!(ReportPage, queue_limits);
/// Offset in BAR 0 of [`ReportPage::window_limits`].
pub const REPORTED_WINDOW_LIMITS: usize = REPORT_PAGE + offset_of!(ReportPage, window_limits);
/// Offset in BAR 0 of [`ReportPage::length_limit`].
pub const REPORTED_LENGTH_LIMIT: usize = REPORT_PAGE + offset_of!(ReportPage, length_limit);
/// Offset in BAR 0 of [`ReportPage::boot_number`].
pub const REPORTED_BOOT_NUMBER: usize = REPORT_PAGE + offset_of!(ReportPage, boot_number);

/// Returns the [`ReportPage::outcome`] after `last`, of a command that ended with the error code
/// `code`: its number in the upper half, the code in the lower half.
///
/// Numbers go from 1 to 65535 and then again from 1. So two neighbours differ, and none is 0, as a
/// BAR reads that does not answer.
pub const fn next_outcome(last: u32, code: u16) -> u32 {
    let number = match last >> 16 {
        0xffff => 1,
        before => before + 1,
    };
    number << 16 | code as u32
}

/// Returns the offset in BAR 0 of a queue's [`DoorbellPage::inline_descriptor`].
pub const fn inline_descriptor(queue: usize) -> usize {
    DOORBELL_PAGES + queue * PAGE_STRIDE + offset_of!(DoorbellPage, inline_descriptor)
}

/// Returns the offset in BAR 0 of a queue's [`StatusPage::inline_completion`].
pub const fn inline_completion(queue: usize) -> usize {
    STATUS_PAGES + queue * PAGE_STRIDE + offset_of!(StatusPage, inline_completion)
}

/// [`StatusPage::queue_state`] of a queue that was not started, or was stopped.
pub const QUEUE_STOPPED: u32 = 0;
/// [`StatusPage::queue_state`] of a queue that runs.
pub const QUEUE_RUNNING: u32 = 1;
