// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A driver of the device on the host. It speaks vfio-user to the server without QEMU, and has no
//! kernel around it. Path C of the test vectors.
//!
//! This crate is a transport. The driver itself is `ringbar_driver_side`, which path B
//! (`guest-rootfs/vfio`) shares. Path A and the expectations of the test vectors have no code of it.

#![forbid(unsafe_code)]

mod error;
mod memory;
mod transport;

pub use error::Error;
pub use transport::{connect, HostDriver, Socket};
