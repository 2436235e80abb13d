// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Fuzzing of all input from the client and from the guest.
//!
//! A target is a function that takes bytes and panics if an invariant does not hold. libFuzzer runs
//! it (`fuzz_targets/`, `make fuzz`). The program of this crate runs it with inputs from a seed,
//! and `tests/` with inputs that once failed.

#![forbid(unsafe_code)]

pub mod broker;
pub mod device;
pub mod dma;
pub mod input;
pub mod session;

/// A target.
#[derive(Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Runs an input. Returns the number of messages, operations or descriptors that the input
    /// made.
    pub run: fn(&[u8]) -> u64,
    /// Length of the longest input of a short run, in bytes.
    pub longest: usize,
    /// Number of these that make a short run, and their unit.
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
        name: "broker",
        run: broker::run,
        longest: 4000,
        short: (2_000_000, "messages"),
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
