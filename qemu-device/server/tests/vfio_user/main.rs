// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The server over a real socket, with the client of the crate `vfio_user` in QEMU's place.

#[path = "../common/mod.rs"]
mod common;
mod guest;
mod interface;
mod mappings;
mod memory;
mod memory_kinds;
mod operations;
mod process;
mod sandbox;
mod sleeping;
mod stress;
mod swap;
mod trapped;
