// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What is recorded of a run: the TCG plugin and the device server write [`record`]s, a line of JSON
//! each, with times of the same clock. Who writes and who reads is elsewhere.

pub mod place;
pub mod record;
