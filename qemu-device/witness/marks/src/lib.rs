// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Messages of the guest to the witness: [`Mark`]s, which the TCG plugin reads.
//!
//! The guest's programs contain this crate, so it has no dependencies.

mod mark;
mod say;
mod sections;

pub use mark::{Mark, UnknownMark, BARS};
pub use say::{say, INSTRUCTIONS};
pub use sections::say_sections;
