// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Test results in KTAP version 1, the kernel's dialect of the Test Anything Protocol.
//!
//! Everything here comes from the guest, which may be broken: any bytes are taken, what is not
//! understood is kept as a diagnostic.

mod line;
mod tree;

pub(crate) use tree::{Outcome, Progress, Results, Stream, Test};
