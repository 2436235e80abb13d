// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Figures of the host.

use crate::error::Error;
use rustix::event::{eventfd, EventfdFlags};
use rustix::io::Errno;
use std::fs;
use std::hint::{black_box, spin_loop};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Shortest time of a burst that is timed, and of what goes before it: as in the guest.
const BURST: Duration = Duration::from_millis(20);
const WARM_UP: Duration = Duration::from_millis(10);
/// Bytes of a message: what vfio-user needs for the read of a register.
const MESSAGE: usize = 32;
/// Largest buffer.
const MAX_SIZE: usize = 64 << 20;

/// Something to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Bytes a second of `memcpy` between two buffers of this size.
    Memcpy(usize),
    /// Nanoseconds for a message there and back between two processes.
    Socketpair,
    /// Nanoseconds there and back between two threads that wake each other.
    Eventfd,
    /// Nanoseconds there and back between two threads that look at memory: two cache lines change hands.
    Word,
    /// How often the server's threads began to run, in a second.
    ServerWakeups,
    /// Instructions of the server in a second.
    ServerInstructions,
}

impl FromStr for What {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "socketpair" => Ok(Self::Socketpair),
            "eventfd" => Ok(Self::Eventfd),
            "word" => Ok(Self::Word),
            "server-wakeups" => Ok(Self::ServerWakeups),
            "server-instructions" => Ok(Self::ServerInstructions),
            _ => {
                let size = text
                    .strip_prefix("memcpy-")
                    .and_then(|size| size.parse().ok());
                let size = size.filter(|size| (1..=MAX_SIZE).contains(size));
                size.map(Self::Memcpy)
                    .ok_or_else(|| "nothing that can be measured".to_owned())
            }
        }
    }
}

impl What {
    /// Measures it.
    pub(crate) fn measure(self, server_pid: u32) -> Result<f64, Error> {
        match self {
            Self::Memcpy(size) => memcpy(size),
            Self::Socketpair => socketpair(),
            Self::Eventfd => ping_pong(),
            Self::Word => word(),
            Self::ServerWakeups => wakeups(server_pid),
            Self::ServerInstructions => instructions(server_pid),
        }
    }
}

/// How many things a second.
fn rate(mut burst: impl FnMut() -> Result<u64, Error>) -> Result<f64, Error> {
    let mut rate = 0.0;
    for least in [WARM_UP, BURST] {
        let (start, mut done) = (Instant::now(), 0u64);
        while start.elapsed() < least {
            done = done.saturating_add(burst()?);
        }
        rate = done as f64 / start.elapsed().as_secs_f64();
    }
    Ok(rate)
}

fn memcpy(size: usize) -> Result<f64, Error> {
    let source = vec![0x5a; size];
    let mut destination = vec![0u8; size];
    // A few, so that looking at the clock does not count.
    let copies = 1 + (1 << 20) / size as u64;
    let rate = rate(|| {
        for _ in 0..copies {
            black_box(&mut destination).copy_from_slice(black_box(&source));
        }
        Ok(copies)
    })?;
    Ok(rate * size as f64)
}

fn socketpair() -> Result<f64, Error> {
    let (mut ours, theirs) =
        UnixStream::pair().map_err(Error::system("cannot make a pair of sockets"))?;
    let program = std::env::current_exe().map_err(Error::system("cannot find this program"))?;
    let mut echo = Command::new(program)
        .arg("echo")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .map_err(Error::system("cannot start the other process"))?;
    let mut message = [0; MESSAGE];
    let rate = rate(|| {
        let passed = (0..16).try_for_each(|_| {
            ours.write_all(&message)?;
            ours.read_exact(&mut message)
        });
        passed.map_err(Error::system("no echo"))?;
        Ok(16)
    });
    drop(ours);
    echo.wait()
        .map_err(Error::system("the other process does not end"))?;
    Ok(1e9 / rate?)
}

/// Sends back each message that comes on standard input.
pub(crate) fn echo() -> Result<(), Error> {
    let input = io::stdin().as_fd().try_clone_to_owned();
    let mut stream = UnixStream::from(input.map_err(Error::system("no standard input"))?);
    let mut message = [0; MESSAGE];
    loop {
        match stream.read_exact(&mut message) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            passed => passed
                .and_then(|()| stream.write_all(&message))
                .map_err(Error::system("cannot echo"))?,
        }
    }
}

fn ping_pong() -> Result<f64, Error> {
    let make = || eventfd(0, EventfdFlags::CLOEXEC);
    let failed = |errno: Errno| Error::System {
        action: "eventfd",
        source: errno.into(),
    };
    let (ping, pong) = (make().map_err(failed)?, make().map_err(failed)?);
    /// Added to the count, it says that it is over.
    const LAST: u64 = 2;
    let signal = |event: &OwnedFd, value: u64| rustix::io::write(event, &value.to_ne_bytes());
    let wait = |event: &OwnedFd| {
        let mut value = [0; 8];
        rustix::io::read(event, &mut value)?;
        Ok::<_, Errno>(u64::from_ne_bytes(value))
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            // An error ends the thread, and then the other one has it too.
            while wait(&ping) == Ok(1) && signal(&pong, 1).is_ok() {}
        });
        let rate = rate(|| {
            for _ in 0..16 {
                signal(&ping, 1).map_err(failed)?;
                wait(&pong).map_err(failed)?;
            }
            Ok(16)
        });
        signal(&ping, LAST).map_err(failed)?;
        Ok(1e9 / rate?)
    })
}

/// A word in a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Line(AtomicU32);

fn word() -> Result<f64, Error> {
    /// No number of a round: it is over.
    const LAST: u32 = 0;
    let (there, back) = (Line::default(), Line::default());
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 1;
            loop {
                match there.0.load(Ordering::Acquire) {
                    seen if seen == round => {
                        back.0.store(round, Ordering::Release);
                        round += 1;
                    }
                    LAST if round > 1 => break,
                    _ => spin_loop(),
                }
            }
        });
        let mut round = 0;
        let rate = rate(|| {
            for _ in 0..1000 {
                round += 1;
                there.0.store(round, Ordering::Release);
                while back.0.load(Ordering::Acquire) != round {
                    spin_loop();
                }
            }
            Ok(1000)
        });
        there.0.store(LAST, Ordering::Release);
        Ok(1e9 / rate?)
    })
}

/// Voluntary switches in a second: each is a sleep that has ended.
fn wakeups(pid: u32) -> Result<f64, Error> {
    let start = Instant::now();
    let before = switches(pid)?;
    thread::sleep(Duration::from_secs(1));
    let woken = switches(pid)?.saturating_sub(before);
    Ok(woken as f64 / start.elapsed().as_secs_f64())
}

/// Voluntary context switches of all threads of a process.
fn switches(pid: u32) -> Result<u64, Error> {
    let failed = Error::system("the server's threads cannot be seen");
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_err(failed)?;
    let counts = threads.flatten().map(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        count(&status)
    });
    Ok(counts.fold(0, u64::saturating_add))
}

fn count(status: &str) -> u64 {
    let line = |line: &str| {
        line.strip_prefix("voluntary_ctxt_switches:")?
            .trim()
            .parse()
            .ok()
    };
    status.lines().find_map(line).unwrap_or_default()
}

fn instructions(pid: u32) -> Result<f64, Error> {
    let perf = Command::new("perf")
        .args([
            "stat",
            "-x",
            ",",
            "-e",
            "instructions:u,duration_time",
            "-p",
            &pid.to_string(),
        ])
        .args(["--", "sleep", "0.2"])
        .stdin(Stdio::null())
        .output()
        .map_err(Error::system("cannot run perf"))?;
    let text = String::from_utf8_lossy(&perf.stderr);
    per_second(&text).ok_or(Error::NoCounter)
}

/// Instructions in a second, from what `perf stat -x,` says. It counts for a shorter time than it is there.
fn per_second(text: &str) -> Option<f64> {
    let counted = |event| text.lines().find_map(|line| counted(line, event));
    let nanoseconds = counted("duration_time").filter(|time| *time > 0.0)?;
    Some(counted("instructions")? * 1e9 / nanoseconds)
}

/// The count of an event, if the line is about it.
fn counted(line: &str, event: &str) -> Option<f64> {
    let (count, rest) = line.split_once(',')?;
    rest.contains(event).then(|| count.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_measured_is_understood() {
        assert_eq!("memcpy-4096".parse(), Ok(What::Memcpy(4096)));
        assert_eq!("socketpair".parse(), Ok(What::Socketpair));
        for text in [
            "",
            "memcpy",
            "memcpy-0",
            "memcpy--1",
            "memcpy-99999999999",
            "rm -rf",
        ] {
            assert!(text.parse::<What>().is_err(), "{text}");
        }
    }

    #[test]
    fn voluntary_switches_are_not_the_others() {
        let status = "Name:\tdevice\nvoluntary_ctxt_switches:\t12\n\
            nonvoluntary_ctxt_switches:\t999\n";
        assert_eq!(count(status), 12);
        assert_eq!(count("nonvoluntary_ctxt_switches:\t999\n"), 0);
    }

    #[test]
    fn instructions_are_divided_by_the_time_that_was_counted() {
        let told = "1000,,instructions:u,180,100.00,,\n\
            200000000,ns,duration_time,200000000,100.00,,\n";

        assert_eq!(per_second(told), Some(5000.0));
    }

    #[test]
    fn counter_that_is_not_there_is_no_count() {
        let time = "200000000,ns,duration_time,200000000,100.00,,\n";
        let missing = format!("# started on\n<not supported>,,instructions:u,0,100.00,,\n{time}");

        assert_eq!(per_second(&missing), None);
        assert_eq!(per_second("1234,,instructions:u,200,100.00,,"), None);
    }

    #[test]
    fn own_switches_are_seen() {
        let pid = std::process::id();
        let before = switches(pid).expect("threads");
        thread::sleep(Duration::from_millis(1));
        assert!(switches(pid).expect("threads") > before);
    }
}
