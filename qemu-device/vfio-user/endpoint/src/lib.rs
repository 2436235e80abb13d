// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Serves a PCI device over vfio-user.
//!
//! [`Connection`] puts the protocol of `ringbar_vfio_user` on a socket, with one thread that
//! blocks. A [`Device`](ringbar_vfio_user::Device) is called from that thread only. Work that takes
//! long, or that needs [`ClientMemory`], is done by a thread of its own, from
//! [`Connection::spawn`].
//!
//! A small device is a [`Function`]: about a hundred lines, as `qemu-device/vfio-user/examples/sum`
//! shows. A larger one implements `Device` itself and takes the parts that it needs:
//! [`config_space`], [`dma`], [`interrupts`], [`memory`].

#![forbid(unsafe_code)]

pub mod client_log;
pub mod client_memory;
pub mod config_space;
pub mod connection;
pub mod dma;
pub mod error;
mod files;
pub mod function;
pub mod interrupts;
pub mod memory;
mod status;
mod stream;

pub use client_memory::ClientMemory;
pub use connection::{Connection, Lost};
pub use error::Error;
pub use function::{Endpoint, Function};
