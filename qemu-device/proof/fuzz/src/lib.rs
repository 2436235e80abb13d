// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Fuzzing of what takes bytes from the client and from the guest.
//!
//! A target is a function from bytes to nothing, which panics when something that must hold does
//! not. The same functions run under libFuzzer (`fuzz_targets/`, `make fuzz`), with inputs from a
//! seed (the program of this crate), and over the inputs that once failed (`tests/`).

#![forbid(unsafe_code)]

pub mod device;
pub mod dma;
pub mod input;
pub mod session;

/// A target.
#[derive(Debug)]
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// Runs an input, and says how many messages, operations or descriptors it made of it.
    pub run: fn(&[u8]) -> u64,
    /// Length of the longest input of a short run, in bytes.
    pub longest: usize,
    /// What is counted, and how many of them make a short run.
    pub short: (u64, &'static str),
}

/// The targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "session",
        run: session::run,
        longest: 400,
        short: (10_000_000, "messages"),
    },
    Target {
        name: "dma",
        run: dma::run,
        longest: 400,
        short: (10_000_000, "operations"),
    },
    Target {
        name: "device",
        run: device::run,
        longest: 4000,
        short: (5_000_000, "descriptors"),
    },
];
