// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The process that QEMU's `vfio-user-pci` connects to.
//!
//! [`ringbar`] is the model as a `Function` of `ringbar_endpoint`, which serves any device: it has
//! configuration space, DMA map, interrupts, thread and lock. [`host`] is the process as the model
//! sees it, [`work`] decides when the device works, polls and sleeps. [`Server`] puts them together,
//! and [`program`] makes a program of it.
//!
//! The behaviour of the device is in `ringbar_model`, its interface in `ringbar_spec`.

#![forbid(unsafe_code)]

pub mod error;
pub mod events;
pub mod host;
pub mod inherited;
pub mod options;
pub mod program;
pub mod ringbar;
pub mod sandbox;
pub mod server;
pub mod shape;
pub mod trace;
pub mod work;

pub use error::Error;
pub use options::Options;
pub use server::Server;
