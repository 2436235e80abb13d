// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Forked children, and how they change themselves. A fork needs a process with one thread, and
//! this program has one.

#![expect(
    unsafe_code,
    reason = "changes users, namespaces, personality and limits, and crashes"
)]

use crate::fork;
use std::process::ExitStatus;
use std::{fs, io};

/// Runs `body` in a forked child. The child ends with code 0 if `body` returns.
pub fn run(body: impl FnOnce()) -> ExitStatus {
    fork::run(|| {
        body();
        true
    })
}

/// Makes the calling process root in a user namespace of its own.
pub fn enter_user_namespace() {
    // SAFETY: Changes this process alone, which has one thread.
    let entered = unsafe { libc::unshare(libc::CLONE_NEWUSER) };
    assert_eq!(entered, 0, "{}", io::Error::last_os_error());
}

/// Makes the calling process run as an ordinary user, without any capability.
pub fn become_ordinary_user() {
    const NOBODY: u32 = 65534;
    // SAFETY: The kernel reads no list of length 0, and changes this process alone.
    let groups = unsafe { libc::setgroups(0, std::ptr::null()) };
    // SAFETY: Takes numbers only, and changes this process alone.
    let group = unsafe { libc::setresgid(NOBODY, NOBODY, NOBODY) };
    // SAFETY: Takes numbers only, and changes this process alone.
    let user = unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) };
    assert_eq!(
        (groups, group, user),
        (0, 0, 0),
        "{}",
        io::Error::last_os_error()
    );
}

/// Gives the calling process execute permission with each permission to read, as old programs have
/// it.
pub fn let_reading_imply_executing() {
    // SAFETY: Takes a number only, and changes this process alone.
    let set = unsafe { libc::personality(libc::READ_IMPLIES_EXEC as libc::c_ulong) };
    assert_ne!(set, -1, "{}", io::Error::last_os_error());
}

/// Allows the calling process a core file of any size. Shared mappings of files go into it too: by
/// default the kernel leaves them out, whatever their driver says.
pub fn allow_core_file() {
    // The default 0x33, and bit 3 (`man 5 core`).
    fs::write("/proc/self/coredump_filter", "0x3b").expect("procfs is mounted");
    let limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: The limit is valid for the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &limit) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

/// Ends the calling process like a crash.
pub fn crash() -> ! {
    // SAFETY: Ends the process.
    unsafe { libc::abort() }
}
