// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The floor as both sides know it: a device whose server does nothing but answer reads and return
//! words (`ci/bench/src/bin/ringbar-bench-floor.rs`).

/// Vendor and device in configuration space.
pub const VENDOR: u16 = 0x1af4;
/// See [`VENDOR`].
pub const DEVICE: u16 = 0x10f2;
/// Value of each register of BAR 0, as bytes. A write to any of them starts the echo.
pub const VALUE: [u8; 4] = *b"flo0";
/// Number of the BAR with the words.
pub const WORDS: u32 = 2;
/// Offset there of the guest's word.
pub const THERE: usize = 0;
/// Offset of the word that returns it. Each has a cache line of its own: words in one line would slow
/// each other down.
pub const BACK: usize = 128;
/// Word that ends the echo.
pub const END: u32 = 0;
