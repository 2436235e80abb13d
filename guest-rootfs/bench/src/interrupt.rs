// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Latency of an interrupt, from a completion in memory to the return of `poll`, and of what it is
//! compared with in the guest.

use crate::bench::{check, nanoseconds, rate, Bench, PATIENCE};
use crate::{Error, Spread};
use ringbar_client::{Device, Queue};
use ringbar_spec::ring::{Descriptor, MAX_ENTRIES};
use ringbar_spec::wake::Word;
use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::time::{
    clock_gettime, timerfd_create, timerfd_settime, ClockId, Itimerspec, TimerfdClockId,
    TimerfdFlags, TimerfdTimerFlags,
};
use std::hint::spin_loop;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Interrupts per pair. The figure of a pair is their median.
const SAMPLES: usize = 20;
/// Time in which the other thread falls asleep in `poll`.
const ASLEEP: Duration = Duration::from_millis(2);
/// Entries of the rings. They have room for the load of a sample.
const ENTRIES: u32 = MAX_ENTRIES;
/// Completions that share an interrupt when interrupts are held back.
const HELD: u16 = 16;
/// Longest time for which they are held back. It is so long that the number of completions ends it.
const FOR_LONG: Duration = Duration::from_millis(60);

/// Returns the nanoseconds from a visible completion in the status page to the return of `poll` in
/// a sleeping thread.
///
/// One thread sleeps. The other one submits, and polls the status page until the completion comes.
pub(crate) fn to_poll(bench: &mut Bench) -> Result<f64, Error> {
    measure(bench, 1)
}

/// Returns the same for the last of [`HELD`] completions that share an interrupt, while more are
/// submitted.
pub(crate) fn to_poll_under_load(bench: &mut Bench) -> Result<f64, Error> {
    measure(bench, HELD)
}

/// Measures with interrupts held back for so many completions.
fn measure(bench: &mut Bench, completions: u16) -> Result<f64, Error> {
    let device = bench.open()?;
    let mut queue = device.create_queue(ENTRIES)?;
    if completions > 1 {
        queue.moderate_interrupts(completions, FOR_LONG);
    }
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        let awake = AtomicBool::new(false);
        let (woken, seen) = thread::scope(|scope| {
            let submitter = scope.spawn(|| submit_late(&mut queue, completions, &awake));
            let woken = sleep_in_poll(&device);
            awake.store(true, Ordering::Relaxed);
            let seen = submitter.join();
            let seen = seen.map_err(|_| Error::Missing("the submitter panicked".into()))?;
            Ok::<_, Error>((woken?, seen?))
        })?;
        // Only now: a completion taken earlier would leave the sleeping thread without a reason to
        // wake.
        while queue.in_flight() > 0 {
            check(&queue.pop()?.ok_or(ringbar_client::Error::TimedOut)?)?;
        }
        samples.push(woken.saturating_duration_since(seen).as_nanos() as f64);
    }
    median(&samples)
}

/// Returns the median of the samples of a pair.
fn median(samples: &[f64]) -> Result<f64, Error> {
    let spread = Spread::of(samples);
    spread
        .map(|spread| spread.median)
        .ok_or_else(|| Error::Missing("no interrupts".into()))
}

/// Submits one descriptor after the other once the other thread sleeps. Returns the time at which
/// completion number `count` is in memory. With more than one, submits on until the other thread is
/// awake.
fn submit_late(queue: &mut Queue, count: u16, awake: &AtomicBool) -> Result<Instant, Error> {
    thread::sleep(ASLEEP);
    let deadline = Instant::now() + PATIENCE;
    for _ in 0..count {
        submit_one(queue, deadline)?;
    }
    let seen = Instant::now();
    while count > 1 && queue.in_flight() < ENTRIES && !awake.load(Ordering::Relaxed) {
        submit_one(queue, deadline)?;
    }
    Ok(seen)
}

/// Submits a descriptor, and polls the status page until it is completed.
fn submit_one(queue: &mut Queue, deadline: Instant) -> Result<(), Error> {
    let posted = queue.word(Word::CompletionTail);
    queue.push(Descriptor::default())?;
    queue.submit();
    while queue.word(Word::CompletionTail) == posted {
        if Instant::now() > deadline {
            return Err(ringbar_client::Error::TimedOut.into());
        }
        spin_loop();
    }
    Ok(())
}

/// Sleeps in `poll` until a completion comes. Returns the time of waking.
fn sleep_in_poll(device: &Device) -> Result<Instant, Error> {
    poll_once(device).map(|()| Instant::now())
}

/// Sleeps in `poll` until the file can be read.
fn poll_once(file: impl AsFd) -> Result<(), Error> {
    let mut files = [PollFd::new(&file, PollFlags::IN)];
    match poll(&mut files, Some(&timespec(PATIENCE))) {
        Ok(0) => Err(ringbar_client::Error::TimedOut.into()),
        Ok(_) => Ok(()),
        Err(errno) => Err(Error::System {
            action: "poll",
            errno,
        }),
    }
}

/// Returns the nanoseconds from the expiry of a timer of the guest to the return of `poll` in a
/// sleeping thread: an interrupt that no device and no driver has a part in. No other thread polls
/// meanwhile.
pub(crate) fn timer_to_poll(_: &mut Bench) -> Result<f64, Error> {
    let cannot = |action| move |errno| Error::System { action, errno };
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)
        .map_err(cannot("make a timer"))?;
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        let due = now() + ASLEEP;
        let once = Itimerspec {
            it_interval: timespec(Duration::ZERO),
            it_value: timespec(due),
        };
        timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME, &once)
            .map_err(cannot("start a timer"))?;
        poll_once(&timer)?;
        samples.push(now().saturating_sub(due).as_nanos() as f64);
    }
    median(&samples)
}

/// Returns the time since the guest's boot, of the clock that its timers have.
fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}

/// Converts a time for the kernel.
fn timespec(time: Duration) -> Timespec {
    Timespec::try_from(time).unwrap_or_default()
}

/// Returns the nanoseconds for a round trip of an eventfd between two threads of the guest: the
/// guest's own share of two wake-ups.
pub(crate) fn eventfd_in_guest(_: &mut Bench) -> Result<f64, Error> {
    let make = || eventfd(0, EventfdFlags::CLOEXEC);
    let (there, back) = (make().map_err(failed)?, make().map_err(failed)?);
    let trips = thread::scope(|scope| {
        scope.spawn(|| {
            // On an error the thread ends. The other thread then fails with the same error.
            while wait(&there) == Ok(1) && signal(&back, 1).is_ok() {}
        });
        let trips = rate(|| {
            for _ in 0..16 {
                signal(&there, 1).map_err(failed)?;
                wait(&back).map_err(failed)?;
            }
            Ok(16)
        });
        signal(&there, LAST).map_err(failed)?;
        trips
    })?;
    Ok(nanoseconds(trips))
}

/// Value that ends the other thread: it differs from 1, the value of a round trip.
const LAST: u64 = 2;

/// Adds a value to an eventfd.
fn signal(event: &OwnedFd, value: u64) -> Result<usize, Errno> {
    rustix::io::write(event, &value.to_ne_bytes())
}

/// Waits for an eventfd. Returns its value.
fn wait(event: &OwnedFd) -> Result<u64, Errno> {
    let mut value = [0; 8];
    rustix::io::read(event, &mut value)?;
    Ok(u64::from_ne_bytes(value))
}

/// Returns the error of an eventfd.
fn failed(errno: Errno) -> Error {
    Error::System {
        action: "use an eventfd",
        errno,
    }
}
