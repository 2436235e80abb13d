// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Actions that a process in the sandbox cannot take. Each try has a child of its own, which enters
//! the same sandbox as the server.

mod raw;

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Output};
use std::{env, io, process, thread};

use libc::c_long;
use raw::Raw;
use ringbar_server::sandbox::{self, Parts};
use ringbar_server::Options;

/// Variable with the action for the child.
const TRY: &str = "RINGBAR_TEST_TRY";
/// Variable with the parts of the sandbox.
const PARTS: &str = "RINGBAR_TEST_PARTS";
/// Text of a child that lived on, before the outcome of its try.
const SURVIVED: &str = "survived: ";

macro_rules! forbidden {
    ($($name:literal: $number:ident($($argument:expr),*);)*) => {
        &[$(($name, libc::$number, &[$($argument as c_long),*])),*]
    };
}

/// Name, number and arguments of a call. None does harm if it is let through.
type Forbidden = (&'static str, c_long, &'static [c_long]);

/// One call per way out of the process.
const FORBIDDEN: &[Forbidden] = forbidden! {
    "open a file": SYS_openat(libc::AT_FDCWD, 0, libc::O_RDONLY);
    "open by openat2": SYS_openat2(libc::AT_FDCWD, 0, 0, 0);
    "open by handle": SYS_open_by_handle_at(libc::AT_FDCWD, 0, 0);
    "look at a file": SYS_newfstatat(libc::AT_FDCWD, 0, 0, 0);
    "look at a file by statx": SYS_statx(libc::AT_FDCWD, 0, 0, 0, 0);
    "ask the file system of an open file": SYS_fstat(-1, 0);
    "ask it by statx": SYS_statx(0, 0, libc::AT_EMPTY_PATH, 0, 0);
    "remove a file": SYS_unlinkat(libc::AT_FDCWD, 0, 0);
    "rename a file": SYS_renameat2(libc::AT_FDCWD, 0, libc::AT_FDCWD, 0, 0);
    "make a folder": SYS_mkdirat(libc::AT_FDCWD, 0, 0);
    "change a mode": SYS_fchmodat(libc::AT_FDCWD, 0, 0);
    "change the folder": SYS_chdir(0);
    "list a folder": SYS_getdents64(0, 0, 0);
    "large file in memory": SYS_ftruncate(-1, 1_i64 << 40);
    "executable file in memory": SYS_memfd_create(0, 0x10);
    "owner of a file": SYS_fcntl(-1, libc::F_SETOWN, 0);
    "wait for descriptors": SYS_ppoll(0, 2, 0, 0, 0);
    "device command": SYS_ioctl(-1, 0, 0);
    "socket": SYS_socket(libc::AF_UNIX, libc::SOCK_STREAM, 0);
    "pair of sockets": SYS_socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, 0);
    "connect": SYS_connect(-1, 0, 0);
    "bind": SYS_bind(-1, 0, 0);
    "listen": SYS_listen(-1, 0);
    "send to an address": SYS_sendto(-1, 0, 0, 0, 1, 0);
    "socket option": SYS_getsockopt(-1, libc::SOL_SOCKET, libc::SO_ERROR, 0, 0);
    "set a socket option": SYS_setsockopt(-1, libc::SOL_SOCKET, libc::SO_RCVTIMEO, 0, 0);
    "run a program": SYS_execve(0, 0, 0);
    "run a program by descriptor": SYS_execveat(-1, 0, 0, 0, 0);
    "fork": SYS_clone(libc::SIGCHLD, 0, 0, 0, 0);
    "thread in a name space of its own":
        SYS_clone(libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD | libc::CLONE_NEWUSER, 0, 0, 0, 0);
    "name space": SYS_unshare(0);
    "enter a name space": SYS_setns(-1, 0);
    "executable memory":
        SYS_mmap(0, 4096, libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
    "shared memory without a file":
        SYS_mmap(0, 4096, libc::PROT_READ, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0);
    "stack that grows":
        SYS_mmap(0, 4096, libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_GROWSDOWN, -1, 0);
    "make memory executable": SYS_mprotect(0, 4096, libc::PROT_READ | libc::PROT_EXEC);
    "trace": SYS_ptrace(libc::PTRACE_PEEKDATA, 0, 0, 0);
    "read another process": SYS_process_vm_readv(0, 0, 0, 0, 0, 0);
    "write another process": SYS_process_vm_writev(0, 0, 0, 0, 0, 0);
    "signal to another process": SYS_kill(1, 0);
    "signal to another thread group": SYS_tgkill(1, 1, libc::SIGABRT);
    "descriptor of a process": SYS_pidfd_open(-1, 0);
    "mount": SYS_mount(0, 0, 0, 0, 0);
    "unmount": SYS_umount2(0, 0);
    "change the root": SYS_chroot(0);
    "change the user": SYS_setuid(-1);
    "change the group": SYS_setgid(-1);
    "capabilities": SYS_capset(0, 0);
    "raise a limit": SYS_prlimit64(0, libc::RLIMIT_NOFILE, 0, 0);
    "process option": SYS_prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0);
    "further filter": SYS_seccomp(99, 0, 0);
    "io_uring": SYS_io_uring_setup(0, 0);
    "bpf": SYS_bpf(-1, 0, 0);
    "page faults of user space": SYS_userfaultfd(-1);
    "performance counters": SYS_perf_event_open(0, 0, -1, -1, 0);
    "keys": SYS_keyctl(-1, 0, 0, 0, 0);
    "kernel module": SYS_finit_module(-1, 0, 0);
    "restart of the machine": SYS_reboot(0, 0, 0, 0);
};

/// Tries an action in a child. Names that are not in the table are those of [`attempt`].
fn child(parts: &str, what: &str) -> Output {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "child_of_the_other_tests", "--ignored"])
        .args(["--nocapture", "--test-threads=1"])
        .env(PARTS, parts)
        .env(TRY, what)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Tries an action, in the child.
fn attempt(what: &str) -> io::Result<c_long> {
    match what {
        "nothing" => Ok(0),
        "clone3" => Raw {
            number: libc::SYS_clone3,
            arguments: [0; 6],
        }
        .make(),
        "read the password file" => File::open("/etc/passwd").map(|_| 0),
        "thread that frees much" => {
            let thread = thread::spawn(|| {
                let blocks: Vec<Vec<u8>> = (0..64).map(|_| vec![1; 100_000]).collect();
                blocks.iter().map(|block| block.len() as c_long).sum()
            });
            thread.join().map_err(|_| io::Error::other("panic"))
        }
        "abort" => process::abort(),
        _ => {
            let &(_, number, given) = FORBIDDEN.iter().find(|(name, ..)| *name == what).unwrap();
            let mut arguments = [0; 6];
            arguments[..given.len()].copy_from_slice(given);
            Raw { number, arguments }.make()
        }
    }
}

#[test]
#[ignore = "what the other tests start as their child"]
fn child_of_the_other_tests() {
    let mut options = Options::new("unused");
    options.sandbox = env::var(PARTS).unwrap().parse::<Parts>().unwrap();
    let what = env::var(TRY).unwrap();
    sandbox::enter(&options).unwrap();
    println!("{SURVIVED}{:?}", attempt(&what));
}

#[test]
fn child_that_does_nothing_survives() {
    let output = child("all", "nothing");

    assert!(said(&output).contains("survived: Ok(0)"), "{output:?}");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn every_forbidden_call_kills_the_process() {
    let survivors: Vec<(&str, ExitStatus, String)> = FORBIDDEN
        .iter()
        .map(|(what, ..)| (*what, child("all", what)))
        .filter(|(_, output)| {
            output.status.signal() != Some(libc::SIGSYS) || said(output).contains(SURVIVED)
        })
        .map(|(what, output)| (what, output.status, said(&output)))
        .collect();

    assert!(survivors.is_empty(), "{survivors:#?}");
}

#[test]
fn no_forbidden_call_kills_a_process_outside() {
    let killed: Vec<&str> = FORBIDDEN
        .iter()
        // A fork has two outcomes, and both print.
        .filter(|(what, ..)| *what != "fork")
        .map(|(what, ..)| *what)
        .filter(|what| !said(&child("none", what)).contains(SURVIVED))
        .collect();

    assert!(killed.is_empty(), "{killed:?}");
}

#[test]
fn landlock_alone_denies_files() {
    let what = "read the password file";
    if !landlock_works() {
        println!("skipped: the kernel of this host has no landlock");
        return;
    }

    let output = child("landlock", what);

    assert!(said(&output).contains("PermissionDenied"), "{output:?}");
    assert!(said(&child("limits", what)).contains("survived: Ok(0)"));
}

#[test]
fn clone3_is_absent_so_that_threads_are_made_by_clone() {
    let output = child("all", "clone3");

    let absent = format!("code: {}", libc::ENOSYS);
    assert!(said(&output).contains(&absent), "{output:?}");
}

#[test]
fn thread_that_gives_memory_back_opens_no_file() {
    let output = child("all", "thread that frees much");

    assert!(
        said(&output).contains("survived: Ok(6400000)"),
        "{output:?}"
    );
}

#[test]
fn abort_is_an_abort() {
    let output = child("all", "abort");

    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
}

/// Checks whether the kernel of this host has landlock, without restricting this process.
fn landlock_works() -> bool {
    const VERSION: c_long = 1;
    let ask = Raw {
        number: libc::SYS_landlock_create_ruleset,
        arguments: [0, 0, VERSION, 0, 0, 0],
    };
    ask.make().is_ok()
}
