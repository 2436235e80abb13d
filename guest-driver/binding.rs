// SPDX-License-Identifier: GPL-2.0-only

//! What a bound device has beside its node: interrupts, and more files in debugfs.

pub(crate) mod debugfs;
pub(crate) mod interrupt;
