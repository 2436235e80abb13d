// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Forked children. The program has one thread, so a child may do what its parent may.

#![expect(unsafe_code, reason = "forks")]

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Runs `body` in a forked child and gives how it ended: code 0 if `body` came to its end.
pub(crate) fn run(body: impl FnOnce()) -> ExitStatus {
    // SAFETY: The process has one thread.
    let process = unsafe { libc::fork() };
    match process {
        -1 => panic!("cannot fork: {}", io::Error::last_os_error()),
        0 => {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            // SAFETY: Ends the child without running what its parent has set up.
            unsafe { libc::_exit(i32::from(outcome.is_err())) }
        }
        _ => {
            let mut status = 0;
            // SAFETY: The status is there to be written.
            let waited = unsafe { libc::waitpid(process, &mut status, 0) };
            assert_eq!(
                waited,
                process,
                "cannot wait: {}",
                io::Error::last_os_error()
            );
            ExitStatus::from_raw(status)
        }
    }
}

/// Makes the calling process an ordinary user's, without any capability.
pub(crate) fn become_ordinary_user() {
    const NOBODY: u32 = 65534;
    // SAFETY: Changes this process alone.
    let groups = unsafe { libc::setgroups(0, std::ptr::null()) };
    // SAFETY: As above.
    let group = unsafe { libc::setresgid(NOBODY, NOBODY, NOBODY) };
    // SAFETY: As above.
    let user = unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) };
    assert_eq!(
        (groups, group, user),
        (0, 0, 0),
        "{}",
        io::Error::last_os_error()
    );
}

/// Lets the calling process leave a core file of any size.
pub(crate) fn allow_core_file() {
    let limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: The limit is valid for the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &limit) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

/// Ends the calling process as a crash would.
pub(crate) fn crash() -> ! {
    // SAFETY: Ends the process.
    unsafe { libc::abort() }
}
