// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Forked children, which inherit mappings.

#![expect(unsafe_code, reason = "forks")]

use rustix::process::{set_parent_process_death_signal, Signal};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Signal for a process that touches a mapping without a page behind it.
pub const SIGBUS: i32 = libc::SIGBUS;

/// A forked child. It dies with its parent.
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
        _ => Fork { process },
    }
}

/// Runs `body` in a forked child as [`start`] does, and returns the child's exit status.
pub fn run(body: impl FnOnce() -> bool) -> ExitStatus {
    start(body).end()
}

impl Fork {
    /// Kills the child. Its files and mappings are gone when [`end`](Self::end) returns.
    pub fn kill(&self) {
        // SAFETY: The number is the child's until `end` has waited for it, and `end` takes `self`.
        let killed = unsafe { libc::kill(self.process, libc::SIGKILL) };
        assert_eq!(killed, 0, "cannot kill: {}", io::Error::last_os_error());
    }

    /// Waits for the child, and returns its exit status.
    pub fn end(self) -> ExitStatus {
        let mut status = 0;
        // SAFETY: The kernel writes one `i32`, and `status` is one that outlives the call.
        let waited = unsafe { libc::waitpid(self.process, &mut status, 0) };
        let error = io::Error::last_os_error();
        assert_eq!(waited, self.process, "cannot wait: {error}");
        ExitStatus::from_raw(status)
    }
}
