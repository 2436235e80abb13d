// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Serves a PCI device over vfio-user.
//!
//! [`Connection`] puts the protocol of `ringbar_vfio_user` on a socket, with one thread that
//! blocks. A [`Device`](ringbar_vfio_user::Device) is called from that thread only. Work that takes
//! long, or that needs [`ClientMemory`], is done by a thread of its own, from
//! [`Connection::spawn`].
//!
//! A device is a [`Function`] and its [`shape`]: about a hundred lines, as
//! `qemu-device/vfio-user/examples/sum` shows. An [`Endpoint`] has everything around it. A device that
//! works between accesses implements [`Work`], and gets thread and lock from a [`Worker`]: so is
//! ringbar itself served.

#![forbid(unsafe_code)]

pub mod client_log;
pub mod client_memory;
pub mod config_space;
pub mod connection;
pub mod dma;
mod endpoint;
pub mod error;
mod files;
pub mod function;
pub mod interrupts;
pub mod memory;
pub mod shape;
mod status;
mod stream;
mod worker;

pub use client_memory::ClientMemory;
pub use connection::{Connection, Lost};
pub use endpoint::Endpoint;
pub use error::Error;
pub use function::{Function, Work};
pub use shape::Shape;
pub use worker::Worker;
