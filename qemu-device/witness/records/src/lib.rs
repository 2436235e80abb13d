// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Format of a run's records. The TCG plugin and the device server write [`record`]s, one line of
//! JSON each, with times of the same clock. Writers and readers are other crates.

pub mod place;
pub mod record;
