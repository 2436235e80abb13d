// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Serves a PCI device over vfio-user.
//!
//! [`Connection`] puts the protocol of `ringbar_vfio_user` on a socket: one thread, that blocks.
//! A [`Device`](ringbar_vfio_user::Device) is called from that thread only. Work that takes long,
//! or that needs [`ClientMemory`], is done by a thread of its own, from [`Connection::spawn`].

#![forbid(unsafe_code)]

pub mod client_memory;
pub mod connection;
mod refusals;
mod stream;

pub use client_memory::ClientMemory;
pub use connection::{Connection, Lost};
