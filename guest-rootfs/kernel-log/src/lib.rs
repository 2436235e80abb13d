// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Messages of a kernel's log: which are complaints, and how init passes them on.
//!
//! With `quiet` or `loglevel=`, the console hides kernel messages. So init in the guest reads
//! `/dev/kmsg` ([`Record`]), chooses complaints ([`Choice`]), and compares the kernel's taint with
//! that of before ([`Taint`]). It sends each chosen record and each new taint as a [`Line`] among its
//! results. The runner on the host reads those lines. It also looks on the console for the complaints
//! that init looks for ([`examine`]).
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
