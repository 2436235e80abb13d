// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A driver of the device on the host: it speaks vfio-user to the server without QEMU, and has no
//! kernel around it. Path C of the test vectors.
//!
//! Written from the data sheet, apart from the kernel driver, the client library and the test
//! drivers of the model: what one of them gets wrong, this one does not have to. So how it brings
//! the device up, submits and waits looks like path B (`guest-rootfs/vfio`) and shares none of it;
//! what is no driver's work, which blocks describe the windows of a vector, is in `ringbar_test_vectors`.

#![forbid(unsafe_code)]

mod error;
mod memory;
mod path;
mod relay;
mod words;

pub use error::Error;
pub use path::HostDriver;
