// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the guest tells whoever watches it: [`Mark`]s, which the TCG plugin sees.
//!
//! The guest's programs build with this, so it depends on nothing.

mod mark;
mod say;
mod sections;

pub use mark::{Mark, UnknownMark};
pub use say::{say, INSTRUCTION};
pub use sections::say_sections;
