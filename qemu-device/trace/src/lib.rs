// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What is recorded of a run.
//!
//! The guest makes [`mark`]s, which the TCG plugin sees. The plugin and the device server write
//! [`record`]s, a line of JSON each, with times of the same clock. This crate holds the formats; who
//! writes and who reads is elsewhere.

pub mod mark;
#[cfg(feature = "records")]
pub mod place;
#[cfg(feature = "records")]
pub mod record;
mod say;

pub use mark::Mark;
pub use say::{say, INSTRUCTION};
