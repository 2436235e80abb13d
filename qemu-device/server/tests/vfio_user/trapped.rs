// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the kernel does for a trapped access: system calls and context switches, both counted.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use ringbar_spec::ids::IDENT as IDENTITY;
use ringbar_spec::regs::IDENT;
use ringbar_vfio_user::testing::{region_read, version};
use ringbar_vfio_user::wire::{Header, HEADER_SIZE};
use rustix::net::{recv, RecvFlags};
use vfio_user::Client;

use crate::process::Running;

/// Accesses that are counted.
const COUNT: usize = 100;
/// Time after which the server counts as never asleep.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads a register this many times.
fn read_registers(client: &mut Client, count: usize) {
    for _ in 0..count {
        let mut data = [0; 4];
        let at = IDENT::INFO.offset as u64;
        client.region_read(0, at, &mut data).unwrap();
        assert_eq!(u32::from_le_bytes(data), IDENTITY);
    }
}

/// Returns a line of the state of the thread that serves the client.
fn state(server: &Running, name: &str) -> String {
    let main = server.child.id();
    let status = fs::read_to_string(format!("/proc/{main}/task/{main}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().to_owned()
}

/// Waits until that thread sleeps. Fails the test if it never does.
fn wait_for_sleep(server: &Running) {
    let start = Instant::now();
    while !state(server, "State:").starts_with('S') {
        assert!(start.elapsed() < PATIENCE, "the server does not sleep");
        thread::yield_now();
    }
}

/// Sends a message, and takes the reply only when the server sleeps again.
fn exchange(server: &Running, client: &mut UnixStream, message: &[u8]) {
    client.write_all(message).unwrap();
    let mut header = [0; HEADER_SIZE];
    // Waits for the reply without taking it.
    recv(&*client, &mut header, RecvFlags::PEEK).unwrap();
    wait_for_sleep(server);
    let size = Header::parse(&header).unwrap().size as usize;
    client.read_exact(&mut vec![0; size]).unwrap();
    wait_for_sleep(server);
}

#[test]
fn access_wakes_the_server_once() {
    let server = Running::start(&["--once"]);
    let mut client = UnixStream::connect(&server.socket).unwrap();
    exchange(&server, &mut client, &version("{}"));
    let read = region_read(0, IDENT::INFO.offset as u64, 4);
    let waits = || -> u64 { state(&server, "voluntary_ctxt_switches:").parse().unwrap() };
    let before = waits();

    for _ in 0..COUNT {
        exchange(&server, &mut client, &read);
    }

    let waited = waits() - before;
    // Twice as many if the server is also woken when the client takes the reply. A few more come
    // from pages that are not there yet.
    let most = COUNT as u64 * 5 / 4;
    assert!(waited <= most, "{waited} waits for {COUNT} accesses");
}

#[cfg(target_arch = "x86_64")]
mod calls {
    use super::*;
    use nix::errno::Errno;
    use nix::sys::ptrace::{self, Options};
    use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
    use nix::unistd::Pid;

    /// Returns the numbers of the system calls that the thread which serves the client makes, from
    /// now on to its end. `None` if the system refuses.
    fn traced(server: &Running) -> Option<Vec<i64>> {
        let thread = Pid::from_raw(server.child.id() as i32);
        match ptrace::seize(thread, Options::PTRACE_O_TRACESYSGOOD) {
            Err(Errno::EPERM) => return None,
            other => other.unwrap(),
        }
        ptrace::interrupt(thread).unwrap();
        let mut calls = Vec::new();
        let mut inside = false;
        loop {
            match waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap() {
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return Some(calls),
                // At the beginning of a call, and at its end.
                WaitStatus::PtraceSyscall(_) => {
                    inside = !inside;
                    if inside {
                        calls.push(ptrace::getregs(thread).unwrap().orig_rax as i64);
                    }
                }
                _ => {}
            }
            match ptrace::syscall(thread, None) {
                // It has been killed.
                Err(Errno::ESRCH) => {}
                other => other.unwrap(),
            }
        }
    }

    #[test]
    fn access_takes_three_system_calls() {
        let server = Running::start(&["--once"]);
        let mut client = Client::new(&server.socket).unwrap();
        read_registers(&mut client, 10);

        let calls = thread::scope(|scope| {
            scope.spawn(|| {
                // Until the tracer has begun, some go uncounted.
                read_registers(&mut client, 2 * COUNT);
                client.shutdown().unwrap();
            });
            traced(&server)
        });

        let Some(calls) = calls else {
            println!("skipped: this system lets no process trace its child");
            return;
        };
        let access = [libc::SYS_ppoll, libc::SYS_recvmsg, libc::SYS_sendmsg];
        let whole = calls.windows(3).filter(|three| *three == access).count();
        assert!(whole > COUNT / 2, "{whole} in {calls:?}");
        // Up to the last answer there is nothing else.
        let last = calls.iter().rposition(|call| *call == libc::SYS_sendmsg);
        let first = calls.iter().position(|call| *call == libc::SYS_sendmsg);
        let between = &calls[first.unwrap() + 1..=last.unwrap()];
        assert_eq!(between.len() % access.len(), 0, "{calls:?}");
        assert!(between.chunks(3).all(|three| three == access), "{calls:?}");
    }
}
