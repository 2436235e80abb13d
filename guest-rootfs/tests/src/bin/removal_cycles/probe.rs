// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Finds out without a signal whether memory can be reached. The kernel reads it for this process,
//! and returns `EFAULT` if it cannot.

#![expect(unsafe_code, reason = "names memory that may not be there")]

use ringbar_client::Mapping;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;

/// A file that receives the bytes.
pub(crate) struct Probe {
    sink: File,
}

impl Probe {
    pub(crate) fn new() -> Self {
        let path = format!("/tmp/probe-{}", std::process::id());
        let sink = File::create(&path).expect("/tmp can be written");
        fs::remove_file(path).expect("it was just made");
        Self { sink }
    }

    /// Returns whether the byte at `offset` of a mapping can be read.
    pub(crate) fn reaches(&self, mapping: &Mapping, offset: usize) -> bool {
        assert!(offset < mapping.len());
        let address = mapping.as_ptr().wrapping_add(offset);
        // SAFETY: Only the kernel reads the address. It returns `EFAULT` if no memory is there.
        let written = unsafe { libc::pwrite(self.sink.as_raw_fd(), address.cast(), 1, 0) };
        let error = io::Error::last_os_error();
        match written {
            1 => true,
            _ if error.raw_os_error() == Some(libc::EFAULT) => false,
            _ => panic!("the probe failed: {error}"),
        }
    }
}
