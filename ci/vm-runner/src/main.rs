// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Starts the device and QEMU, watches, reports.

fn main() {}
