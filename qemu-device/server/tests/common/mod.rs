// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Guest memory for tests.

use std::fs::File;

use rustix::fs::{fcntl_add_seals, ftruncate, memfd_create, MemfdFlags, SealFlags};

/// Makes a file of `size` bytes in memory, as QEMU has for guest memory.
pub(crate) fn memory_file(size: u64) -> File {
    let file = unsealed_file(size);
    fcntl_add_seals(&file, SealFlags::SHRINK).unwrap();
    file
}

/// Makes a file of `size` bytes in memory that can shrink.
pub(crate) fn unsealed_file(size: u64) -> File {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(memfd_create("test-guest", flags).unwrap());
    ftruncate(&file, size).unwrap();
    file
}
