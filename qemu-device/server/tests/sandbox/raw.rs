// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! System calls by number.

#![expect(
    unsafe_code,
    reason = "calls that no library makes in the way an intruder would"
)]

use std::io;

use libc::c_long;

/// A call that does nothing to this process when it is let through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw {
    /// Its number.
    pub(crate) number: c_long,
    /// No pointers but null, so that the kernel has nothing to write to.
    pub(crate) arguments: [c_long; 6],
}

impl Raw {
    /// Makes the call.
    pub(crate) fn make(self) -> io::Result<c_long> {
        let [a, b, c, d, e, f] = self.arguments;
        // SAFETY: a system call is sound if the kernel changes no memory in use by it. All
        // arguments come from the table of `main.rs`, which has no pointers but null and no call
        // that changes memory in use.
        match unsafe { libc::syscall(self.number, a, b, c, d, e, f) } {
            -1 => Err(io::Error::last_os_error()),
            result => Ok(result),
        }
    }
}
