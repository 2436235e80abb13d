// SPDX-License-Identifier: GPL-2.0-only

//! What differs between the series of kernels, with the names of Linux 7.3.
//!
//! The kernel's interface for Rust changes with each series. Linux 7.3 has all of this. For Linux
//! 7.2, the parts in `series/linux_7_2/` stand in for what that kernel lacks: once it is dropped,
//! so are they. The driver's `README.md`, "Kernel versions", lists both.

#![allow(unused_imports, reason = "a driver uses a part of the layer")]

#[cfg(linux_7_2)]
mod linux_7_2;
#[cfg(not(linux_7_2))]
mod linux_7_3;

#[cfg(linux_7_2)]
pub(crate) use linux_7_2::*;
#[cfg(not(linux_7_2))]
pub(crate) use linux_7_3::*;
