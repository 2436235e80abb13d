// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Behaviour of the ringbar device, without I/O, threads or clock.
//!
//! [`Device`] takes the guest's actions: register accesses, bus mastering, resets. It returns
//! [`Effects`]: interrupts to raise, and whether there is work to do. [`Device::step`] does that
//! work, a bounded piece at a time, on memory that it reaches through [`Host`]. Between pieces, and
//! for a time after the last one, [`Device::poll`] looks for more. [`Device::sleep`] ends the
//! polling; the caller measures its time. The interface is that of `ringbar_spec`, its description
//! is the data sheet, `qemu-device/README.md`.
//!
//! This crate knows nothing of sockets, of QEMU, or of how memory is mapped, and it never blocks.

#![forbid(unsafe_code)]

mod access;
mod admin;
mod checked;
mod device;
mod effects;
mod error;
#[cfg(feature = "test-utils")]
pub mod fake;
mod host;
mod operation;
mod queue;
mod registers;
#[cfg(feature = "sabotage")]
pub mod sabotage;
mod schedule;
mod scratch;
#[cfg(feature = "test-utils")]
pub mod test_driver;
mod window;
mod words;

pub use device::{Config, Device};
pub use effects::{Effects, LoggedError, Vectors, MAX_VECTORS};
pub use error::ConfigError;
pub use host::{DmaAddress, Host, Location, Note, Unreachable};

// Descriptors and blocks are little-endian in memory, and the model copies them unconverted. On
// another host it would read every field with its bytes exchanged.
const _: () = assert!(cfg!(target_endian = "little"));
