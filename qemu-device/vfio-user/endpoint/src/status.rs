// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a file of the client is.

use std::os::fd::AsFd;

use rustix::fs::{statx, AtFlags, FileType, StatxFlags};
use rustix::io::Errno;

/// A file, however many descriptors there are of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    device: (u32, u32),
    inode: u64,
}

/// What the kernel knows of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    pub(crate) id: FileId,
    pub(crate) kind: FileType,
    /// In bytes.
    pub(crate) size: u64,
}

impl Status {
    /// Looks at an open file without asking the file system: a client may be the file system
    /// itself, and never answer.
    pub(crate) fn of(file: impl AsFd) -> Result<Self, Errno> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let found = statx(file, c"", flags, StatxFlags::BASIC_STATS)?;
        Ok(Self {
            id: FileId {
                device: (found.stx_dev_major, found.stx_dev_minor),
                inode: found.stx_ino,
            },
            kind: FileType::from_raw_mode(found.stx_mode.into()),
            size: found.stx_size,
        })
    }
}
