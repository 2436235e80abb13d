// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Builds the initramfs.

fn main() {}
