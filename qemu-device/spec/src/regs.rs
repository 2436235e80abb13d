// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Registers of BAR 0 (data sheet 4), in the grammar of the kernel's `register!`. Shared with the
//! kernel module.
//!
//! All are little-endian and trapped. Offsets count from the start of BAR 0. Arrays have one
//! register per queue; those of the error log have one per entry. `access.rs` has the access of
//! each. `pages.rs` has the memory that is shared instead.

use super::register;

register! {
    // Public page.

    /// Identity of the device: `ids::IDENT`.
    pub IDENT(u32) @ 0x0000 {
        31:0 magic;
    }

    /// Version of this interface.
    pub VERSION(u32) @ 0x0004 {
        31:16 major;
        15:0 minor;
    }

    /// Operations that the device knows.
    pub FEATURES(u64) @ 0x0008 {
        /// Bit n stands for opcode n.
        63:0 opcodes;
    }

    /// State of the device.
    pub STATUS(u32) @ 0x0010 {
        /// Queues that run.
        15:8 running_queues;
        /// The error log holds an error.
        2:2 error => bool;
        /// Bus mastering is on.
        1:1 bus_master => bool;
        /// The device takes commands.
        0:0 ready => bool;
    }

    /// Events since the bits were last cleared. The bits of [`IRQ_MASK`] stand for the same events.
    pub IRQ_CAUSE(u32) @ 0x0014 {
        /// An error went into the error log.
        1:1 error => bool;
        /// A queue completed a descriptor, or an error stopped it.
        0:0 completion => bool;
    }

    /// Keeps the value that is written. Has no effect.
    pub SCRATCH(u64) @ 0x0018 {
        63:0 value;
    }

    /// Nanoseconds since power-on or the last reset.
    pub COUNTER(u64) @ 0x0020 {
        63:0 nanoseconds;
    }

    /// Steps by one with every reset of any kind, past 0 and all ones. [`BOOT_NUMBER`] at power-on.
    pub RESET_GENERATION(u32) @ 0x0028 {
        31:0 count;
    }

    /// Errors since the log was last cleared. Stays at its largest value.
    pub ERROR_COUNT(u32) @ 0x002c {
        31:0 count;
    }

    /// Newest error.
    pub ERROR_LAST(u32) @ 0x0030 {
        /// Queue concerned, all ones if none.
        31:16 queue;
        /// An `error::ErrorCode`.
        15:0 code;
    }

    /// Value that caused the newest error. The table of errors in data sheet 9 has its meaning per
    /// code.
    pub ERROR_VALUE(u64) @ 0x0038 {
        63:0 value;
    }

    /// Limits of the queues.
    pub QUEUE_LIMITS(u32) @ 0x0040 {
        /// Most entries of a ring.
        31:16 entries;
        /// Queues that the device has.
        15:0 queues;
    }

    /// Limits of the windows.
    pub WINDOW_LIMITS(u32) @ 0x0044 {
        /// Most segments of a window.
        31:16 segments;
        /// Windows that the device has.
        15:0 windows;
    }

    /// Largest length of a descriptor, in bytes.
    pub LENGTH_LIMIT(u32) @ 0x0048 {
        31:0 bytes;
    }

    /// A number that is drawn at power-on, from 1 to
    /// [`ids::BOOT_NUMBER_MAX`](super::ids::BOOT_NUMBER_MAX). It stays the same over resets.
    pub BOOT_NUMBER(u32) @ 0x004c {
        31:0 number;
    }

    // Admin page.

    /// Resets the device if `RESET_KEY` is written.
    pub RESET(u32) @ 0x1_0000 {
        31:0 key;
    }

    /// Causes that raise no interrupt. When a bit falls while its cause is set, the device raises
    /// the interrupts that the mask held back.
    pub IRQ_MASK(u32) @ 0x1_0004 {
        /// No interrupt for errors.
        1:1 error => bool;
        /// No interrupt for completions.
        0:0 completion => bool;
    }

    /// Outcome of the last admin command: an `error::ErrorCode`, 0 if it was carried out.
    pub ADMIN_STATUS(u32) @ 0x1_0008 {
        15:0 code;
    }

    /// Empties the error log. Any value does.
    pub ERROR_CLEAR(u32) @ 0x1_000c {
        31:0 any;
    }

    /// Admin command: starts the queue that the `setup::QueueSetup` at this DMA address describes.
    pub QUEUE_START(u64) @ 0x1_0010 {
        63:0 address;
    }

    /// Admin command: opens the window that the `setup::WindowSetup` at this DMA address describes.
    pub WINDOW_OPEN(u64) @ 0x1_0018 {
        63:0 address;
    }

    /// Admin command: stops a queue. Answered when the device carries out none of its descriptors.
    pub QUEUE_STOP(u32) @ 0x1_0020 {
        31:0 queue;
    }

    /// Admin command: closes a window. Answered when no copy uses it.
    pub WINDOW_CLOSE(u32) @ 0x1_0024 {
        31:0 window;
    }

    /// A recent error: the error with number n is in entry n modulo 16.
    ///
    /// Read it before and after [`ERROR_LOG_VALUE`]: they belong together if both reads are the
    /// same.
    pub ERROR_LOG_ENTRY(u64)[16, stride = 16] @ 0x1_0100 {
        /// Number of the error: the value of [`ERROR_COUNT`] with it; 0 if there is none.
        63:32 number;
        /// Queue concerned, all ones if none.
        31:16 queue;
        /// An `error::ErrorCode`.
        15:0 code;
    }

    /// Value that caused a recent error.
    pub ERROR_LOG_VALUE(u64)[16, stride = 16] @ 0x1_0108 {
        63:0 value;
    }

    // One page per queue from here on.

    /// Wakes a queue that sleeps when anything is written. Reads return `KICK_ANSWER`.
    pub KICK(u32)[64, stride = 0x1_0000] @ 0x3f_0000 {
        31:0 any;
    }

    /// Errors of the queue since it was started. Stays at its largest value.
    pub QUEUE_ERRORS(u32)[64, stride = 0x1_0000] @ 0x3f_0008 {
        31:0 count;
    }

    /// Limits within which interrupts for completions of the queue are held back, to make them
    /// fewer. 0 when the queue is started: none is held back.
    pub INTERRUPT_MODERATION(u32)[64, stride = 0x1_0000] @ 0x3f_0010 {
        /// Longest time that an interrupt is held back; 0: none is.
        31:16 microseconds;
        /// Number of completions that ends it before; 0: any number.
        15:0 completions;
    }
}

/// Value that makes [`RESET`] reset the device: the bytes `RST!`.
pub const RESET_KEY: u32 = u32::from_le_bytes(*b"RST!");
/// Value of a read of [`KICK`]. A read of all ones means that no server serves the device any more.
pub const KICK_ANSWER: u32 = u32::from_le_bytes(*b"kick");
/// Entries of the error log.
pub const ERROR_LOG_ENTRIES: usize = 16;
/// Queue number in [`ERROR_LAST`] of an error that concerns no queue.
pub const NO_QUEUE: u16 = u16::MAX;
