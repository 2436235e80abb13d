// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A TCG plugin that records who touched which register of the device, from which code.
//!
//! Until the guest says that the driver is about to be loaded, translated code stays as it is: the
//! plugin looks at the first instruction of each block while QEMU translates it, for the guest's
//! marks. From then on every load and store of all code is watched, and those that reach the device
//! are written to a file. [`ffi`] talks to QEMU and has all unsafe code; [`recorder`] decides and
//! writes, [`map`] knows where the device is, [`config`] follows accesses to configuration space.

#![cfg_attr(
    test,
    expect(dead_code, reason = "tests have no QEMU, so nobody calls all of it")
)]

mod clock;
mod config;
#[cfg(not(test))]
mod ffi;
mod map;
mod options;
mod recorder;
