// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Test results in KTAP version 1, the kernel's dialect of the Test Anything Protocol.
//!
//! All of it comes from the guest, which may be broken. Any bytes are accepted; unknown lines are
//! kept as diagnostics.

mod closing;
mod cut;
mod line;
mod tree;

pub(crate) use closing::{names, Closing, MACHINE};
pub(crate) use tree::{Outcome, Progress, Results, Stream, Test};
