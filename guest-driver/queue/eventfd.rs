// SPDX-License-Identifier: GPL-2.0-only

//! An eventfd of a process, to signal.

use core::ptr::NonNull;
use kernel::{
    error::from_err_ptr,
    prelude::*, //
};

/// The kernel's object behind an eventfd (`struct eventfd_ctx`).
#[repr(C)]
struct Context([u8; 0]);

extern "C" {
    // Exported by the kernel, but not in its bindings for Rust.
    fn eventfd_ctx_fdget(fd: c_int) -> *mut Context;
    fn eventfd_ctx_put(context: *mut Context);
    fn eventfd_signal_mask(context: *mut Context, mask: c_uint);
}

/// A reference to an eventfd.
///
/// # Invariants
///
/// Holds a reference to the context.
pub(crate) struct EventFd(NonNull<Context>);

// SAFETY: A context belongs to no thread: any may give a reference back.
unsafe impl Send for EventFd {}
// SAFETY: The kernel locks a context while it signals it, so any thread may do so at any time.
unsafe impl Sync for EventFd {}

impl EventFd {
    /// Returns the eventfd that the calling process knows as `fd`.
    ///
    /// # Errors
    ///
    /// `EBADF` if there is no such file, `EINVAL` if it is no eventfd.
    pub(crate) fn of_process(fd: i32) -> Result<Self> {
        // SAFETY: The kernel checks the number.
        let context = from_err_ptr(unsafe { eventfd_ctx_fdget(fd) })?;
        // INVARIANT: The call gave the reference.
        NonNull::new(context).map(Self).ok_or(EINVAL)
    }

    /// Adds 1 to the counter, which wakes the processes that wait for it.
    pub(crate) fn signal(&self) {
        // SAFETY: By the type invariants this holds a reference, so the context is there.
        unsafe { eventfd_signal_mask(self.0.as_ptr(), 0) };
    }
}

impl Drop for EventFd {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the reference is ours to give back.
        unsafe { eventfd_ctx_put(self.0.as_ptr()) };
    }
}
