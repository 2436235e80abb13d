// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A TCG plugin that records each access to the device, and the code that made it.
//!
//! Until the guest is about to load the driver, translated code stays unchanged. The plugin only
//! looks at the first instruction of each block while QEMU translates it, for the guest's marks.
//! After that it watches every load and store of all code, and writes those that reach the device
//! to a file.
//!
//! With `record=code` it records which code of the kernel's modules was executed, and no accesses:
//! [`code`] keeps the counters that translated code sets, and [`jump`] knows conditional jumps.
//!
//! [`ffi`] is the interface to QEMU and has all unsafe code. [`recorder`] selects and writes,
//! [`map`] locates the device, and [`config`] follows accesses to configuration space. [`page`] and
//! [`byte_order`] describe accesses as they reach memory.

#![cfg_attr(
    test,
    expect(
        dead_code,
        reason = "tests have no QEMU, so they do not call all of it"
    )
)]

mod byte_order;
mod clock;
mod code;
mod config;
#[cfg(not(test))]
mod ffi;
mod jump;
mod map;
mod options;
mod page;
mod recorder;
mod target;
