// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Kinds of files, and the way in which the device reaches each.

use std::fs::File;
use std::io;

use rustix::fs::{fcntl_get_seals, fcntl_getfl, fstatfs, FileType, FsWord, OFlags, SealFlags};

use crate::status::{FileId, Status};

/// The file system of memory files, of `linux/magic.h`.
const TMPFS_MAGIC: FsWord = 0x0102_1994;

/// Facts that decide on the way.
#[derive(Debug)]
pub(super) struct Facts {
    /// Seals, if the file is in memory: of tmpfs or hugetlbfs.
    seals: Option<SealFlags>,
    /// Whether the file is of tmpfs, and not of huge pages.
    tmpfs: bool,
    writable: bool,
    status: Status,
}

/// Way to the bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By a mapping that this process touches.
    Touch,
    /// By copies of the kernel.
    Copy {
        /// Whether the file may be mapped for writing.
        writable: bool,
    },
}

/// Reason for which the device never reaches memory that the client has mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreached {
    /// The mapping came without a file.
    #[error(
        "they came without a file. If they are the guest's memory, start QEMU with -object \
         memory-backend-memfd,id=memory,size=…,share=on -machine memory-backend=memory"
    )]
    NoFile,
    /// The client maps memory for writing with a file that cannot be written.
    #[error(
        "the guest may write them, and their file cannot be written. QEMU keeps the guest's bytes \
         to itself then: give its memory backend share=on and readonly=off"
    )]
    ReadOnlyFile,
    /// Another process or machine may serve the file system.
    #[error(
        "another process or machine may serve the file system of their file, and hold the device \
         for ever: use QEMU's memory-backend-memfd, or a file on tmpfs (/dev/shm), hugetlbfs or a \
         disk"
    )]
    FileSystem,
    /// The file is no regular one.
    #[error("their file is no regular one: use QEMU's memory-backend-memfd")]
    NotRegular,
}

impl Unreached {
    /// Number of reasons.
    pub(super) const COUNT: usize = 4;
}

impl Facts {
    /// Looks at an open file. Never asks a file system that the client may serve.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        // The seals before the size: a file that is not sealed could shrink between the two, and the
        // size would be too large. Only files in memory have seals, or none of the possible ones.
        let seals = fcntl_get_seals(file).ok();
        // Only tmpfs and hugetlbfs are asked, which the kernel serves.
        let tmpfs = seals.is_some() && fstatfs(file)?.f_type == TMPFS_MAGIC;
        let sealed = seals.is_some_and(|it| it.intersects(NEVER_WRITTEN));
        let writable = fcntl_getfl(file)? & OFlags::ACCMODE == OFlags::RDWR && !sealed;
        Ok(Self {
            seals,
            tmpfs,
            writable,
            status: Status::of(file)?,
        })
    }

    /// Returns the size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.status.size
    }

    /// Returns the identity of the file.
    pub(super) fn id(&self) -> FileId {
        self.status.id
    }

    /// Returns the way to the file for a device that may write it, or only read it.
    ///
    /// A file that is sealed against shrinking keeps its bytes. A hole in one reads as 0, but not
    /// with huge pages: if none is left in their pool, a touch of the hole kills the process. Nor is
    /// a mapping touched that cannot be written: a device that writes to it by mistake would be
    /// killed.
    pub(super) fn way(&self, write: bool) -> Result<Way, Unreached> {
        if self.status.kind != FileType::RegularFile {
            return Err(Unreached::NotRegular);
        }
        if write && !self.writable {
            return Err(Unreached::ReadOnlyFile);
        }
        match self.seals {
            Some(seals) if self.tmpfs && self.writable && seals.contains(SealFlags::SHRINK) => {
                Ok(Way::Touch)
            }
            // A copy from a disk may wait for the disk, but not for another process.
            None if !self.status.id.is_on_disk() => Err(Unreached::FileSystem),
            _ => Ok(Way::Copy {
                writable: self.writable,
            }),
        }
    }
}

/// Seals with which a file cannot be mapped for writing.
const NEVER_WRITTEN: SealFlags = SealFlags::WRITE.union(SealFlags::FUTURE_WRITE);
