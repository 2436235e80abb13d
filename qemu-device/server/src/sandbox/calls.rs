// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The system calls that the server may make. Any other call ends it.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::process;

use libc::c_long;
use ringbar_spec::layout::REGISTER_BAR_SIZE;
use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, Le, MaskedEq};
use seccompiler::{
    apply_filter_all_threads, BackendError, BpfProgram, Error, SeccompAction, SeccompCondition,
    SeccompFilter, SeccompRule,
};

use super::Call;
use crate::options::Options;

macro_rules! calls {
    ($($number:ident),* $(,)?) => {
        &[$((stringify!($number), libc::$number)),*]
    };
}

/// Calls that may have any arguments.
const FREE: &[(&str, c_long)] = calls![
    // The client, guest memory, interrupts and the log.
    SYS_read,
    SYS_write,
    SYS_close,
    SYS_recvmsg,
    SYS_sendmsg,
    SYS_shutdown,
    SYS_fstatfs,
    SYS_munmap,
    SYS_geteuid,
    // Threads and locks.
    SYS_futex,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_sigaltstack,
    SYS_gettid,
    SYS_getpid,
    SYS_exit,
    SYS_exit_group,
    // Signals.
    SYS_recvfrom,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_restart_syscall,
    // Heap, hash maps, time where the vDSO has none.
    SYS_brk,
    SYS_mremap,
    SYS_madvise,
    SYS_getrandom,
    SYS_clock_gettime,
];

/// Flags of `clone` that make something else than a plain thread.
const NOT_A_THREAD: i32 = libc::CLONE_VFORK
    | libc::CLONE_PTRACE
    | libc::CLONE_PARENT
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// Condition on one argument.
type Condition = Result<SeccompCondition, BackendError>;

/// A call that may have some arguments only.
struct Limited {
    name: &'static str,
    number: c_long,
    only: &'static str,
    /// Alternatives, each a list of conditions. One alternative that holds is enough.
    rules: Vec<Vec<Condition>>,
}

/// Returns the calls that may have some arguments only.
fn limited(options: &Options) -> Vec<Limited> {
    let mut calls = always_limited(options);
    if options.region_files.is_some() {
        let hole = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        calls.push(Limited {
            name: stringify!(SYS_fallocate),
            number: libc::SYS_fallocate,
            only: "clear a file for the next device",
            rules: vec![vec![is(1, hole)]],
        });
    }
    calls
}

/// Returns those that each server may make.
fn always_limited(options: &Options) -> Vec<Limited> {
    let largest_file = options.device_memory.max(REGISTER_BAR_SIZE) as u64;
    let no_exec = || bits(2, libc::PROT_EXEC, 0);
    // The kernel's limit of data counts neither shared memory nor stacks that grow. Without these
    // rules, code that takes over the process could allocate without bound. Guest memory is shared
    // and has a file.
    let kind = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_GROWSDOWN;
    let uncounted = libc::MAP_SHARED | libc::MAP_GROWSDOWN;
    macro_rules! call {
        ($number:ident, $only:literal, $rules:expr) => {
            Limited {
                name: stringify!($number),
                number: libc::$number,
                only: $only,
                rules: $rules,
            }
        };
    }
    vec![
        call!(
            SYS_mmap,
            "not executable, shared with a file only, no growing stack",
            vec![
                vec![no_exec(), bits(3, uncounted, 0)],
                vec![no_exec(), bits(3, kind, libc::MAP_SHARED)],
            ]
        ),
        call!(SYS_mprotect, "not executable", vec![vec![no_exec()]]),
        call!(
            SYS_clone,
            "a thread of this process",
            vec![vec![bits(
                0,
                libc::CLONE_THREAD | NOT_A_THREAD,
                libc::CLONE_THREAD
            )]]
        ),
        call!(
            SYS_accept4,
            "close on exec",
            vec![vec![is(3, libc::SOCK_CLOEXEC)]]
        ),
        call!(
            SYS_getsockopt,
            "credentials of the client, what is a socket",
            [libc::SO_PEERCRED, libc::SO_TYPE]
                .into_iter()
                .map(|option| vec![is(1, libc::SOL_SOCKET), is(2, option)])
                .collect()
        ),
        call!(
            SYS_setsockopt,
            "how long a send may wait",
            vec![vec![is(1, libc::SOL_SOCKET), is(2, libc::SO_SNDTIMEO)]]
        ),
        call!(
            SYS_sendto,
            "to the peer; signals wake their thread by it",
            vec![vec![SeccompCondition::new(4, Qword, Eq, 0)]]
        ),
        call!(
            SYS_memfd_create,
            "close on exec, sealable",
            vec![vec![is(1, libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING)]]
        ),
        call!(
            SYS_ftruncate,
            "up to the size of the device memory or of BAR 0",
            vec![vec![SeccompCondition::new(1, Qword, Le, largest_file)]]
        ),
        call!(
            SYS_fcntl,
            "duplicate, seal, flags",
            [
                libc::F_DUPFD_CLOEXEC,
                libc::F_ADD_SEALS,
                libc::F_GET_SEALS,
                libc::F_GETFD,
                libc::F_GETFL,
                libc::F_SETFL,
            ]
            .into_iter()
            .map(|command| vec![is(1, command)])
            .collect()
        ),
        call!(
            SYS_ppoll,
            "one descriptor",
            vec![vec![SeccompCondition::new(1, Qword, Eq, 1)]]
        ),
        call!(
            SYS_prctl,
            "name of a thread",
            vec![vec![is(0, libc::PR_SET_NAME)]]
        ),
        // fstat would ask the file system, which the client itself may serve. A filter cannot see a
        // file name, so code that takes over the process can find out which files there are.
        call!(
            SYS_statx,
            "an open file, without asking its file system",
            vec![vec![is(2, libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC)]]
        ),
        // Copies from and to memory of the client that a touch could kill the process in.
        call!(
            SYS_process_vm_readv,
            "memory of this process",
            vec![vec![is(0, process::id())]]
        ),
        call!(
            SYS_process_vm_writev,
            "memory of this process",
            vec![vec![is(0, process::id())]]
        ),
        call!(
            SYS_tgkill,
            "abort of this process",
            vec![vec![is(0, process::id()), is(2, libc::SIGABRT)]]
        ),
    ]
}

/// Kills the process from now on when any of its threads makes another call. Returns the calls that
/// it may make.
pub(super) fn restrict(options: &Options) -> Result<Vec<Call>, Error> {
    let mut calls = Vec::new();
    let mut rules = BTreeMap::new();
    for &(name, number) in FREE {
        rules.insert(number, Vec::new());
        calls.push(Call::new(name, ""));
    }
    for call in limited(options) {
        let alternatives = call
            .rules
            .into_iter()
            .map(|conditions| SeccompRule::new(conditions.into_iter().collect::<Result<_, _>>()?))
            .collect::<Result<_, BackendError>>()?;
        rules.insert(call.number, alternatives);
        calls.push(Call::new(call.name, call.only));
    }
    // Its arguments are in memory, where a filter cannot see them. With ENOSYS the C library uses
    // clone, whose arguments the filter checks.
    rules.insert(libc::SYS_clone3, Vec::new());
    calls.push(Call::new("SYS_clone3", "answered with ENOSYS"));
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);

    let allowed = compile(rules, SeccompAction::KillProcess, SeccompAction::Allow)?;
    let absent = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let unseen = compile(clone3, SeccompAction::Allow, absent)?;
    // This order, as the filter of allowed calls does not allow the call that adds another filter.
    apply_filter_all_threads(&unseen)?;
    apply_filter_all_threads(&allowed)?;
    calls.sort_unstable_by_key(|call| call.name);
    Ok(calls)
}

/// Compiles a filter: the action for the calls with rules, and that for all others.
fn compile(
    rules: BTreeMap<c_long, Vec<SeccompRule>>,
    other: SeccompAction,
    listed: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    SeccompFilter::new(rules, other, listed, ARCH.try_into()?)?.try_into()
}

/// Makes the condition that a 32-bit argument is `value`.
fn is(argument: u8, value: impl Into<i64>) -> Condition {
    SeccompCondition::new(argument, Dword, Eq, low(value))
}

/// Makes the condition that the bits in `mask` of an argument are `value`.
fn bits(argument: u8, mask: i32, value: i32) -> Condition {
    SeccompCondition::new(argument, Qword, MaskedEq(low(mask)), low(value))
}

/// Returns the low half, as the kernel gets it. Sign extension would set bits that the call never
/// has.
fn low(value: impl Into<i64>) -> u64 {
    value.into() as u64 & u64::from(u32::MAX)
}
