// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a kernel's log says, which of it is a complaint, and how init passes that on.
//!
//! The console may hide what the kernel says: `quiet` and `loglevel=` do. So init in the guest reads
//! `/dev/kmsg` ([`Record`]), chooses what tells of something wrong ([`Choice`]), compares the taint
//! ([`Taint`]), and sends both with its results, a [`Line`] each. The runner on the host reads those
//! lines, and the console, and looks for the same complaints ([`examine`]).
//!
//! All of it is pure: no input or output here, any text is taken.

#![forbid(unsafe_code)]

mod choice;
mod complaint;
mod line;
mod record;
mod taint;

pub use choice::Choice;
pub use complaint::{examine, kernel_started, Complaint};
pub use line::Line;
pub use record::Record;
pub use taint::Taint;
