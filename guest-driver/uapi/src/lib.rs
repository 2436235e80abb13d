// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT

//! The interface between a process and the ringbar driver: ioctls and mmap offsets.
//!
//! The kernel module compiles [`ioctl`] and [`mmap`] by path; processes use this crate. It holds
//! layouts and numbers only. The effects and errors of each call are in
//! `guest-driver/README.md`.

#![no_std]
#![forbid(unsafe_code)]

pub mod ioctl;
pub mod mmap;
#[path = "../../mapping/offset.rs"]
mod offset;
