// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Identity, kind and size of a client's file.

use std::os::fd::AsFd;

use rustix::fs::{statx, AtFlags, FileType, StatxFlags};
use rustix::io::Errno;

/// Identity of a file, the same for all its descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    device: (u32, u32),
    inode: u64,
}

impl FileId {
    /// Checks whether its file system is on a block device: the kernel itself serves it. All others
    /// have a device number without a major part.
    pub(crate) fn is_on_disk(self) -> bool {
        self.device.0 != 0
    }
}

/// Facts about a file from the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    pub(crate) id: FileId,
    pub(crate) kind: FileType,
    /// Size in bytes.
    pub(crate) size: u64,
}

impl Status {
    /// Looks at an open file without asking its file system. A client may serve the file system
    /// itself, and never respond.
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
