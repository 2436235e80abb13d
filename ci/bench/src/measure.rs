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

/// Shortest time of a measured burst, and of the warm-up before it, as in the guest.
const BURST: Duration = Duration::from_millis(20);
const WARM_UP: Duration = Duration::from_millis(10);
/// Bytes of a message: as many as vfio-user needs for reading a register.
const MESSAGE: usize = 32;
/// Size of a page.
const PAGE: usize = 4096;
/// Largest buffer.
const MAX_SIZE: usize = 64 << 20;

/// A figure of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// `memcpy` between two buffers of this size, in bytes per second.
    Memcpy(usize),
    /// Round trip of a message between two processes, in nanoseconds.
    Socketpair,
    /// Round trip between two threads that wake each other, in nanoseconds.
    Eventfd,
    /// Round trip between two threads that poll memory, in nanoseconds. Two cache lines move
    /// between processors.
    Word,
    /// Wake-ups of the server's threads per second.
    ServerWakeups,
    /// Instructions of the server per second.
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
    /// Measures it. Returns the figure.
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

/// Returns a rate per second. Calls `burst`, which returns the number of operations, until enough
/// time has passed. The first round is the warm-up.
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

/// Returns the bandwidth of `memcpy` between buffers that begin at a page, as those of the device do.
fn memcpy(size: usize) -> Result<f64, Error> {
    let (mut source, mut destination) = (vec![0x5a; size + PAGE], vec![0u8; size + PAGE]);
    let (source, destination) = (at_page(&mut source), at_page(&mut destination));
    // Several copies per look at the clock, so that the look does not count.
    let copies = 1 + (1 << 20) / size as u64;
    let rate = rate(|| {
        for _ in 0..copies {
            black_box(&mut destination[..size]).copy_from_slice(black_box(&source[..size]));
        }
        Ok(copies)
    })?;
    Ok(rate * size as f64)
}

/// Returns the bytes from the first boundary of a page on. An allocator that puts its notes before a
/// buffer would halve the bandwidth of `memcpy`, as its stores would not be aligned.
fn at_page(buffer: &mut [u8]) -> &mut [u8] {
    let start = buffer.as_ptr().align_offset(PAGE);
    &mut buffer[start..]
}

/// Returns the round trip of a message to another process.
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

/// Returns each message on standard input to its sender.
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

/// Returns the round trip of an eventfd between two threads.
fn ping_pong() -> Result<f64, Error> {
    let make = || eventfd(0, EventfdFlags::CLOEXEC);
    let failed = |errno: Errno| Error::System {
        action: "eventfd",
        source: errno.into(),
    };
    let (ping, pong) = (make().map_err(failed)?, make().map_err(failed)?);
    /// Value that ends the other thread: it differs from 1, the value of a round trip.
    const LAST: u64 = 2;
    let signal = |event: &OwnedFd, value: u64| rustix::io::write(event, &value.to_ne_bytes());
    let wait = |event: &OwnedFd| {
        let mut value = [0; 8];
        rustix::io::read(event, &mut value)?;
        Ok::<_, Errno>(u64::from_ne_bytes(value))
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            // On an error the thread ends. The other thread then fails with the same error.
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

/// A word in its own cache line. Two words in one line would slow each other down.
#[derive(Default)]
#[repr(align(128))]
struct Line(AtomicU32);

/// Returns the round trip of a word in memory between two threads.
fn word() -> Result<f64, Error> {
    /// Value that ends the other thread: no round has this number.
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

/// Returns the voluntary context switches per second. Each is the end of a sleep.
fn wakeups(pid: u32) -> Result<f64, Error> {
    let start = Instant::now();
    let before = switches(pid)?;
    thread::sleep(Duration::from_secs(1));
    let woken = switches(pid)?.saturating_sub(before);
    Ok(woken as f64 / start.elapsed().as_secs_f64())
}

/// Returns the voluntary context switches of all threads of a process.
fn switches(pid: u32) -> Result<u64, Error> {
    let failed = Error::system("the server's threads cannot be seen");
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_err(failed)?;
    let counts = threads.flatten().map(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        count(&status)
    });
    Ok(counts.fold(0, u64::saturating_add))
}

/// Parses the voluntary context switches of a thread.
fn count(status: &str) -> u64 {
    let line = |line: &str| {
        line.strip_prefix("voluntary_ctxt_switches:")?
            .trim()
            .parse()
            .ok()
    };
    status.lines().find_map(line).unwrap_or_default()
}

/// Counts the server's instructions per second with perf.
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

/// Returns instructions per second from the output of `perf stat -x,`. The time is perf's own: perf
/// runs for longer than it counts.
fn per_second(text: &str) -> Option<f64> {
    let counted = |event| text.lines().find_map(|line| counted(line, event));
    let nanoseconds = counted("duration_time").filter(|time| *time > 0.0)?;
    Some(counted("instructions")? * 1e9 / nanoseconds)
}

/// Returns the count of an event, if the line has it.
fn counted(line: &str, event: &str) -> Option<f64> {
    let (count, rest) = line.split_once(',')?;
    rest.contains(event).then(|| count.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurable_names_are_parsed() {
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
    fn voluntary_switches_are_counted_alone() {
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
    fn missing_counter_has_no_count() {
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
