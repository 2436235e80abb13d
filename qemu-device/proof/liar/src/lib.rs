// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A ringbar device that lies to its driver: a broken, hostile or half built one.
//!
//! The model stays honest; the lies are around it. [`outside`] changes what the device writes into
//! rings and status pages, and its interrupts. [`liar`] changes accesses of registers, and does what
//! is due later. [`config`] changes configuration space, where it takes a guest's orders. The state
//! of all three is [`state::State`]. `ringbar_lies` has the list.

#![forbid(unsafe_code)]

pub mod config;
pub mod liar;
pub mod outside;
pub mod state;
