// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Guest memory for tests.

use std::fs::File;

use rustix::fs::{ftruncate, memfd_create, MemfdFlags};

/// A file of `size` bytes in memory, as QEMU has for guest memory.
pub(crate) fn memory_file(size: u64) -> File {
    let file = File::from(memfd_create("test-guest", MemfdFlags::CLOEXEC).unwrap());
    ftruncate(&file, size).unwrap();
    file
}
