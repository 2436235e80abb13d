// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An open node of a driver, and its ioctls.

#![expect(unsafe_code, reason = "issues ioctls")]

use ringbar_tests::raw::{RawMapping, READ_WRITE};
use ringbar_tests::rules::open_node;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use zerocopy::{FromBytes, IntoBytes};

/// An open node.
#[derive(Clone, Debug)]
pub struct Node {
    file: Arc<File>,
}

impl Node {
    /// Opens a node for reading and writing. Panics if that fails.
    #[track_caller]
    pub fn open(path: &str) -> Self {
        Self::from(open_node(path, false))
    }

    /// Returns the file.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Calls the ioctl `number` with its argument, which the driver may change.
    ///
    /// # Panics
    ///
    /// Panics if the number is that of a call with an argument of another size.
    pub fn call<T: FromBytes + IntoBytes>(
        &self,
        number: u32,
        argument: &mut T,
    ) -> Result<(), Errno> {
        let size = (number >> 16 & 0x3fff) as usize;
        assert_eq!(size, size_of::<T>(), "argument of ioctl {number:#x}");
        let argument = std::ptr::from_mut(argument);
        // SAFETY: The number has the size of `T`, so the driver reads and writes no more than the
        // argument. It is borrowed for the call, and any bytes are a valid `T`.
        let done = unsafe { libc::ioctl(self.file.as_raw_fd(), number.into(), argument) };
        match done {
            0.. => Ok(()),
            _ => Err(Errno::from_io_error(&io::Error::last_os_error())
                .expect("the system has a number for its error")),
        }
    }

    /// Maps `length` bytes at `offset`, for reading and writing. Panics if that fails.
    #[track_caller]
    pub fn map(&self, offset: u64, length: usize) -> RawMapping {
        self.mapped(offset, length, READ_WRITE)
    }

    /// Maps `length` bytes at `offset` for reading. Panics if that fails.
    #[track_caller]
    pub fn map_read_only(&self, offset: u64, length: usize) -> RawMapping {
        self.mapped(offset, length, ProtFlags::READ)
    }

    #[track_caller]
    fn mapped(&self, offset: u64, length: usize, protection: ProtFlags) -> RawMapping {
        RawMapping::new(&self.file, offset, length, protection, MapFlags::SHARED)
            .unwrap_or_else(|errno| panic!("mmap of {length} bytes at {offset:#x}: {errno}"))
    }
}

impl From<Arc<File>> for Node {
    fn from(file: Arc<File>) -> Self {
        Self { file }
    }
}
