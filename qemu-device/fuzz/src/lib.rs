// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Fuzzing of what takes bytes from the client.
//!
//! A target is a function from bytes to nothing, which panics when something that must hold does
//! not. The same functions run under libFuzzer (`fuzz_targets/`, `make fuzz`), with inputs from a
//! seed (the program of this crate), and over the inputs that once failed (`tests/`).

#![forbid(unsafe_code)]

pub mod dma;
pub mod input;
pub mod session;

/// Runs an input, and returns how many messages or operations it made of it.
pub type Run = fn(&[u8]) -> u64;

/// The targets, by name.
pub const TARGETS: &[(&str, Run)] = &[("session", session::run), ("dma", dma::run)];
