// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The server's side of the vfio-user protocol, without a socket.
//!
//! A [`Session`] takes the client's bytes and file descriptors in any portions, checks each message
//! and carries it out on a [`Device`]. It hands out [`Action`]s: messages to send, answers to the
//! server's own requests, refusals for a log. It does no input or output, has no threads and no
//! clock, and keeps a bounded amount of memory whatever the client does. File descriptors are a
//! type parameter, so that tests and fuzzers can do without real ones.
//!
//! [`requests`] has the other direction: reading and writing memory of the client by message.
//! [`incoming`] has the framing alone, for a program that passes messages on.
//!
//! The feature `test-utils` adds `testing`: a device that records its calls, messages of a client,
//! and file descriptors that are counted. It is for tests and fuzzers of other crates too.
//!
//! ```
//! # #[cfg(feature = "test-utils")] {
//! use ringbar_vfio_user::testing::{region_read, Call, TestSession};
//!
//! let mut test = TestSession::negotiated();
//! test.send(&region_read(0, 16, 4), 0).unwrap();
//! assert_eq!(test.device.calls, [Call::Read(0, 16, 4)]);
//! # }
//! ```

#![forbid(unsafe_code)]

mod access;
pub mod device;
pub mod incoming;
pub mod ranges;
pub mod refusal;
pub mod requests;
pub mod session;
#[cfg(feature = "test-utils")]
pub mod testing;
mod version;
pub mod wire;

pub use device::Device;
pub use refusal::Refusal;
/// Error numbers of the operating system, as replies carry them.
pub use rustix::io::Errno;
pub use session::{Action, Session, Violation};

/// The example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
