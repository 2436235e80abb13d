// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The process that QEMU's `vfio-user-pci` connects to.
//!
//! [`state::State`] is the device with its configuration space, DMA map, shared memory and
//! interrupts around the model. [`worker`] runs it under one lock. [`backend`] is the transport and
//! knows no register, only regions, DMA ranges and interrupts. [`Server`] puts them together.
//!
//! The behaviour of the device is in `ringbar_model`, its interface in `ringbar_spec`.

#![forbid(unsafe_code)]

pub mod backend;
pub mod config_space;
pub mod error;
pub mod events;
pub mod host;
pub mod inherited;
pub mod options;
pub mod regions;
pub mod sandbox;
pub mod server;
pub mod socket;
pub mod state;
pub mod trace;
pub mod worker;

pub use error::Error;
pub use options::Options;
pub use server::Server;
