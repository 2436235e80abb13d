// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The hardware interface of the ringbar device, written once.
//!
//! The device model, the server, the tests and the kernel module are all built from these files.
//! The module compiles [`ids`], [`layout`], [`regs`], [`pages`], [`ring`], [`setup`], [`error`] and
//! [`wake`] by path with the kernel's own `register!`; here `register` is its host twin. The text
//! that belongs to the tables is the data sheet, `qemu-device/README.md`.
//!
//! This crate holds layouts, names and index arithmetic. It does no I/O and has no device state.

#![no_std]
#![forbid(unsafe_code)]

pub mod access;
pub mod error;
pub mod ids;
pub mod layout;
pub mod names;
pub mod pages;
pub mod pattern;
mod register;
#[expect(
    non_camel_case_types,
    reason = "registers are named as in the data sheet"
)]
pub mod regs;
pub mod ring;
pub mod setup;
pub mod wake;

pub(crate) use register::register;
pub use register::{Field, RegisterInfo};
