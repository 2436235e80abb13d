// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Messages of a kernel's log: which are complaints, and how init passes them on.
//!
//! The console may hide kernel messages: `quiet` and `loglevel=` do. So init in the guest reads
//! `/dev/kmsg` ([`Record`]), chooses complaints ([`Choice`]) and compares the taint ([`Taint`]). It
//! sends both with its results, as one [`Line`] each. The runner on the host reads those lines and
//! the console, and looks for the same complaints ([`examine`]).
//!
//! The crate does no input or output, and accepts any text.

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
