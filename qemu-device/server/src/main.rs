// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The process that QEMU connects to.

fn main() {}
