// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Forked children, which inherit mappings.

#![expect(unsafe_code, reason = "forks")]

use rustix::process::{set_parent_process_death_signal, Signal};
use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Signal that kills.
pub const SIGKILL: i32 = libc::SIGKILL;

/// Signal for a process that touches a mapping without a page behind it.
pub const SIGBUS: i32 = libc::SIGBUS;

/// Signal for a process that touches addresses without a mapping.
pub const SIGSEGV: i32 = libc::SIGSEGV;

/// A child, which is killed when this is dropped: otherwise the child of a failed case would keep
/// its objects, and the cases after it would fail too. One that [`start`] made dies with its parent.
#[derive(Debug)]
pub struct Fork {
    process: libc::pid_t,
}

/// Runs `body` in a forked child, which ends with code 0 if `body` returns true.
///
/// The calling process must have one thread. Otherwise `body` may find locks that no thread of the
/// child releases.
pub fn start(body: impl FnOnce() -> bool) -> Fork {
    // SAFETY: The caller has one thread, so the child may do everything that its parent may.
    let process = unsafe { libc::fork() };
    match process {
        -1 => panic!("cannot fork: {}", io::Error::last_os_error()),
        0 => {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                set_parent_process_death_signal(Some(Signal::KILL)).expect("anyone may");
                body()
            }));
            let good = outcome.unwrap_or(false);
            // SAFETY: `_exit` takes a number, and runs no handlers or destructors of the parent.
            unsafe { libc::_exit(i32::from(!good)) }
        }
        _ => Fork::of(process),
    }
}

/// Runs `body` in a forked child as [`start`] does, and returns the child's exit status.
pub fn run(body: impl FnOnce() -> bool) -> ExitStatus {
    start(body).end()
}

impl Fork {
    /// Takes a child of this process by its number.
    pub(crate) fn of(process: libc::pid_t) -> Self {
        Self { process }
    }

    /// Returns the number of the process.
    pub fn process(&self) -> u32 {
        self.process.cast_unsigned()
    }

    /// Sends the child a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: The number is the child's: only `end` and `drop` wait for it, and take `self`.
        let sent = unsafe { libc::kill(self.process, signal) };
        let error = io::Error::last_os_error();
        assert_eq!(sent, 0, "cannot send signal {signal}: {error}");
    }

    /// Kills the child. Its files and mappings are gone when [`end`](Self::end) returns.
    pub fn kill(&self) {
        self.signal(SIGKILL);
    }

    /// Waits for the child, and returns its exit status.
    pub fn end(self) -> ExitStatus {
        let process = self.leave();
        let mut status = 0;
        // SAFETY: The kernel writes one `i32`, and `status` is one that outlives the call.
        let waited = unsafe { libc::waitpid(process, &mut status, 0) };
        let error = io::Error::last_os_error();
        assert_eq!(waited, process, "cannot wait: {error}");
        ExitStatus::from_raw(status)
    }

    /// Lets the child live on. Returns its number.
    pub(crate) fn leave(self) -> libc::pid_t {
        ManuallyDrop::new(self).process
    }
}

impl Drop for Fork {
    fn drop(&mut self) {
        // SAFETY: The number is the child's, for which only this value waits.
        unsafe { libc::kill(self.process, SIGKILL) };
        // SAFETY: The kernel stores no status at a null pointer.
        unsafe { libc::waitpid(self.process, std::ptr::null_mut(), 0) };
    }
}
