// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The system calls that the broker may make. Any other call fails.

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use libc::c_long;
use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, Le, MaskedEq};
use seccompiler::{
    apply_filter, BackendError, BpfProgram, Error, SeccompAction, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Calls that may have any arguments.
const FREE: &[c_long] = &[
    // Both peers and the log.
    libc::SYS_connect,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_write,
    libc::SYS_close,
    libc::SYS_geteuid,
    // Signals and the end.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_sigaltstack,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_exit_group,
    // Heap, locks, time where the vDSO has none.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
];

/// Alternatives, each a list of conditions on arguments. One alternative that holds is enough.
type Rules = Vec<Vec<Result<SeccompCondition, BackendError>>>;

/// Returns the calls that may have some arguments only.
fn limited() -> Vec<(c_long, Rules)> {
    let socket = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let shared = libc::MAP_SHARED | libc::MAP_GROWSDOWN;
    let statx = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    vec![
        (
            libc::SYS_socket,
            vec![vec![is(0, libc::AF_UNIX), is(1, socket)]],
        ),
        (libc::SYS_shutdown, vec![vec![is(1, libc::SHUT_WR)]]),
        (libc::SYS_accept4, vec![vec![is(3, libc::SOCK_CLOEXEC)]]),
        (
            libc::SYS_getsockopt,
            [libc::SO_PEERCRED, libc::SO_TYPE]
                .into_iter()
                .map(|option| vec![is(1, libc::SOL_SOCKET), is(2, option)])
                .collect(),
        ),
        // The listeners and both peers.
        (
            libc::SYS_ppoll,
            vec![vec![SeccompCondition::new(1, Qword, Le, 3)]],
        ),
        (
            libc::SYS_ioctl,
            vec![vec![SeccompCondition::new(1, Dword, Eq, libc::FIONBIO)]],
        ),
        (libc::SYS_fcntl, vec![vec![is(1, libc::F_GETFL)]]),
        // An open file, without asking its file system.
        (libc::SYS_statx, vec![vec![is(2, statx)]]),
        // Private memory, which the limit of data counts, and which is not executable.
        (
            libc::SYS_mmap,
            vec![vec![bits(2, libc::PROT_EXEC, 0), bits(3, shared, 0)]],
        ),
    ]
}

/// Lets every other call of this process fail from now on.
pub(super) fn restrict() -> Result<(), Error> {
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> =
        FREE.iter().map(|&number| (number, Vec::new())).collect();
    for (number, alternatives) in limited() {
        let alternatives = alternatives
            .into_iter()
            .map(|conditions| SeccompRule::new(conditions.into_iter().collect::<Result<_, _>>()?))
            .collect::<Result<_, BackendError>>()?;
        rules.insert(number, alternatives);
    }
    // Not the end of the process, as for a server: QEMU would lose its connection for a call that
    // this list has forgotten.
    let other = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, other, SeccompAction::Allow, ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    apply_filter(&program)
}

/// Makes the condition that a 32-bit argument is `value`.
fn is(argument: u8, value: i32) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, Dword, Eq, low(value))
}

/// Makes the condition that the bits in `mask` of an argument are `value`.
fn bits(argument: u8, mask: i32, value: i32) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, Qword, MaskedEq(low(mask)), low(value))
}

/// Returns the value as the kernel gets it, without sign extension.
fn low(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}
