// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Children that never outlive the runner, not even after its SIGKILL.
#![expect(unsafe_code, reason = "a hook between fork and exec is unsafe")]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{getpid, getppid, set_parent_process_death_signal, Signal};

/// Lets the kernel kill the child when the thread that starts it ends.
pub(crate) fn die_with_parent(command: &mut Command) {
    let parent = getpid();
    let hook = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died before the signal was set. The child would then live for ever.
        if getppid() != Some(parent) {
            return Err(io::Error::from_raw_os_error(
                rustix::io::Errno::SRCH.raw_os_error(),
            ));
        }
        Ok(())
    };
    // SAFETY: The hook runs between fork and exec, possibly while other threads held locks. It
    // makes two system calls, and neither allocates nor takes a lock.
    unsafe { command.pre_exec(hook) };
}
