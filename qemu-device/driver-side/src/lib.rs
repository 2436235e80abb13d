// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Driver side of the ringbar device in user space, written once from the data sheet.
//!
//! A user brings a transport: registers by [`Registers`] and [`Function`], shared memory by
//! [`Shared`]. The crate has the rest: [`bring_up`] (data sheet 14), [`admin`] commands with their
//! [`blocks`], [`ring`]s, [`descriptors`], the [`error_log`], and [`barrier`]s. The client library of
//! the guest, both drivers without a kernel (`guest-rootfs/vfio`, `proof/host-driver`), tests,
//! benchmarks and fuzzing use it.
//!
//! Three implementations of the data sheet stay independent of each other: the kernel driver, this
//! crate, and the expectations of `proof/test-vectors`. They share `ringbar_spec` and no other code.
//! Otherwise a mistake in one would be in the others, and no comparison would show it.

// The barriers of arm64 are instructions.
#![cfg_attr(not(target_arch = "aarch64"), forbid(unsafe_code))]

pub mod admin;
pub mod barrier;
pub mod blocks;
pub mod bring_up;
pub mod descriptors;
mod error;
pub mod error_log;
#[cfg(feature = "path")]
pub mod path;
mod queue_memory;
mod registers;
pub mod ring;
mod shared;

pub use error::{name, Error, RingError};
pub use queue_memory::QueueMemory;
pub use registers::{Function, Registers};
pub use shared::Shared;
