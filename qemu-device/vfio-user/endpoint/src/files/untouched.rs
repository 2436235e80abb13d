// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Bytes that this process must not touch, copied by the kernel.
//!
//! The file behind them may lose bytes at any time. A touch of a lost byte is SIGBUS. The kernel's
//! copy between two places of one process (`process_vm_readv`, `process_vm_writev`) fails instead,
//! with `EFAULT`. It takes any mapping, those of huge pages too. `pread` and `pwrite` would not do:
//! `pwrite` cannot write huge pages, makes a file that has lost bytes longer again, and appends if
//! the client has made its descriptor append.
//!
//! The bytes of a copy are not atomic: no word of such memory is read or written as a whole. The
//! processor orders a copy against the accesses before and after the call, as they are of one
//! thread.

use std::io::{IoSlice, IoSliceMut};

use nix::sys::uio::{process_vm_readv, process_vm_writev, RemoteIoVec};
use nix::unistd::Pid;
use rustix::io::Errno;
use vm_memory::VolatileSlice;

use super::Files;

/// Bytes of a mapping that this process must not touch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Untouched<'a> {
    /// Keeps the mapping, and the note of the first failure.
    files: &'a Files,
    address: usize,
    length: usize,
}

/// Failure of a copy. A part may have been copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CopyFailed;

impl<'a> Untouched<'a> {
    /// Makes the bytes of a slice, which is looked at as numbers only.
    pub(super) fn new(files: &'a Files, slice: &VolatileSlice<'a>) -> Self {
        Self {
            files,
            address: slice.ptr_guard().as_ptr().addr(),
            length: slice.len(),
        }
    }

    /// Returns the number of bytes.
    pub(crate) fn len(self) -> usize {
        self.length
    }

    /// Returns `length` of the bytes from `offset` on; `None` if they leave these bytes.
    pub(crate) fn part(self, offset: usize, length: usize) -> Option<Self> {
        let end = offset.checked_add(length)?;
        (end <= self.length).then_some(Self {
            address: self.address.checked_add(offset)?,
            length,
            ..self
        })
    }

    /// Copies all the bytes out. The buffer has as many.
    pub(crate) fn read(self, data: &mut [u8]) -> Result<(), CopyFailed> {
        let length = data.len();
        self.copy(length, |pid, done, there| {
            let rest = data.get_mut(done..).unwrap_or_default();
            process_vm_readv(pid, &mut [IoSliceMut::new(rest)], there)
        })
    }

    /// Copies as many bytes in.
    pub(crate) fn write(self, data: &[u8]) -> Result<(), CopyFailed> {
        self.copy(data.len(), |pid, done, there| {
            let rest = data.get(done..).unwrap_or_default();
            process_vm_writev(pid, &[IoSlice::new(rest)], there)
        })
    }

    /// Calls `piece` until all bytes are copied: a call may copy a part only.
    fn copy(
        self,
        length: usize,
        mut piece: impl FnMut(Pid, usize, &[RemoteIoVec]) -> nix::Result<usize>,
    ) -> Result<(), CopyFailed> {
        debug_assert_eq!(length, self.length);
        let mut done = 0;
        while done < length {
            let rest = self.part(done, length - done).ok_or(CopyFailed)?;
            let there = [RemoteIoVec {
                base: rest.address,
                len: rest.length,
            }];
            let copied = match piece(Pid::this(), done, &there) {
                Ok(0) => Err(nix::Error::EFAULT),
                result => result,
            };
            done += copied.map_err(|error| {
                self.files
                    .say_failed(Errno::from_raw_os_error(error as i32));
                CopyFailed
            })?;
        }
        Ok(())
    }
}
