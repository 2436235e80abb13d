// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Serves a PCI device over vfio-user.
//!
//! [`Connection`] puts the [`protocol`] on a socket, with one thread that blocks. A
//! [`Device`](protocol::Device) is called from that thread only. Work that takes
//! long, or that needs [`ClientMemory`], is done by a thread of its own, from
//! [`Connection::spawn`].
//!
//! A device is a [`Function`] and its [`shape`]: about a hundred lines. An [`Endpoint`] has
//! everything around it. A device that works between accesses implements [`Work`], and gets thread
//! and lock from a [`Worker`].

#![forbid(unsafe_code)]

pub mod client_log;
mod client_memory;
pub mod config_space;
mod connection;
pub mod dma;
mod endpoint;
mod error;
mod files;
pub mod function;
pub mod interrupts;
pub mod memory;
pub mod passing;
pub mod region_files;
pub mod shape;
mod shape_fault;
pub mod socket;
mod status;
mod stream;
mod worker;

pub use client_memory::ClientMemory;
pub use connection::{Connection, Lost};
pub use endpoint::Endpoint;
pub use error::Error;
pub use function::{Bus, Function, Work};
/// The protocol, whose types devices and errors have.
pub use ringbar_vfio_user as protocol;
pub use shape::Shape;
pub use shape_fault::ShapeFault;
pub use worker::Worker;

/// The example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
