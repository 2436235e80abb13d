// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT

//! What a process and the ringbar driver say to each other: ioctls and mmap offsets.
//!
//! The kernel module compiles [`ioctl`] and [`mmap`] by path; processes use this crate. It holds
//! layouts and numbers only. What each call does and which errors it gives is told in
//! `guest-driver/README.md`.

#![no_std]
#![forbid(unsafe_code)]

pub mod ioctl;
pub mod mmap;
