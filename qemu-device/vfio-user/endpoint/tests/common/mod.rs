// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Guest memory of tests: files, and ranges of DMA addresses.

use std::fs::File;
use std::os::unix::fs::FileExt;

use ringbar_endpoint::dma::Rights;
use ringbar_vfio_user::device::DmaRange;
use rustix::fs::{fcntl_add_seals, ftruncate, memfd_create, MemfdFlags, SealFlags};

pub(crate) const PAGE: u64 = 4096;
pub(crate) const READ_ONLY: Rights = Rights {
    read: true,
    write: false,
};

/// Makes a file of `size` bytes in memory that can shrink.
pub(crate) fn unsealed(size: u64) -> File {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(memfd_create("test-guest", flags).unwrap());
    ftruncate(&file, size).unwrap();
    file
}

/// Makes a file of `size` bytes in memory, as QEMU's `memory-backend-memfd` does.
pub(crate) fn sealed(size: u64) -> File {
    let file = unsealed(size);
    fcntl_add_seals(&file, SealFlags::SHRINK).unwrap();
    file
}

/// Returns `size` bytes of addresses.
pub(crate) fn range(address: u64, size: u64) -> DmaRange {
    DmaRange::new(address, size).unwrap()
}

/// Returns bytes of a file.
pub(crate) fn content(file: &File, offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset).unwrap();
    bytes
}
