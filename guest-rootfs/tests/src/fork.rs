// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Forked children, which inherit mappings.

#![expect(unsafe_code, reason = "forks")]

use rustix::process::{set_parent_process_death_signal, Signal};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Ends whoever touches a mapping without a page behind it.
pub const SIGBUS: i32 = libc::SIGBUS;

/// A forked child. It dies with its parent.
#[derive(Debug)]
pub struct Fork {
    process: libc::pid_t,
}

/// Runs `body` in a forked child, which ends with code 0 if `body` gives true.
///
/// The calling process must have one thread, or `body` may find locks that nobody will give back.
pub fn start(body: impl FnOnce() -> bool) -> Fork {
    // SAFETY: Whoever calls this has one thread, so the child may do what its parent may.
    let process = unsafe { libc::fork() };
    match process {
        -1 => panic!("cannot fork: {}", io::Error::last_os_error()),
        0 => {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                set_parent_process_death_signal(Some(Signal::KILL)).expect("anyone may");
                body()
            }));
            let good = outcome.unwrap_or(false);
            // SAFETY: Ends the child without running what its parent has set up.
            unsafe { libc::_exit(i32::from(!good)) }
        }
        _ => Fork { process },
    }
}

/// Runs `body` in a forked child as [`start`] does, and gives how it ended.
pub fn run(body: impl FnOnce() -> bool) -> ExitStatus {
    start(body).end()
}

impl Fork {
    /// Kills the child. What it had is gone when [`end`](Self::end) returns.
    pub fn kill(&self) {
        // SAFETY: Until `end` has waited for it, this number is the child's.
        let killed = unsafe { libc::kill(self.process, libc::SIGKILL) };
        assert_eq!(killed, 0, "cannot kill: {}", io::Error::last_os_error());
    }

    /// Waits for the child, and gives how it ended.
    pub fn end(self) -> ExitStatus {
        let mut status = 0;
        // SAFETY: The status is there to be written.
        let waited = unsafe { libc::waitpid(self.process, &mut status, 0) };
        let error = io::Error::last_os_error();
        assert_eq!(waited, self.process, "cannot wait: {error}");
        ExitStatus::from_raw(status)
    }
}
