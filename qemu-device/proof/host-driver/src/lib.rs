// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A driver of the device on the host. It speaks vfio-user to the server without QEMU, and has no
//! kernel around it. Path C of the test vectors.
//!
//! It is written from the data sheet. It has no code of the kernel driver, the client library or
//! the test drivers of the model, and so does not share their mistakes. The way in which it brings
//! the device up, submits and waits looks like path B (`guest-rootfs/vfio`) and shares none of it.
//! The set-up blocks of a vector's windows are no driver's work; `ringbar_test_vectors` has them.

#![forbid(unsafe_code)]

mod error;
mod memory;
mod path;
mod relay;
mod words;

pub use error::Error;
pub use path::HostDriver;
