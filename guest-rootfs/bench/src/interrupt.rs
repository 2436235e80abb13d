// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The way of an interrupt: from a completion in memory to the return of `poll`.

use crate::bench::{check, nanoseconds, rate, Bench};
use crate::{Error, Spread};
use ringbar_client::{Device, Queue};
use ringbar_spec::ring::Descriptor;
use ringbar_spec::wake::Word;
use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::hint::spin_loop;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Interrupts of a pair; its figure is their median.
const SAMPLES: usize = 20;
/// Time for the other thread to fall asleep in `poll`.
const ASLEEP: Duration = Duration::from_millis(2);
/// Entries of the rings: room for the load of a sample.
const ENTRIES: u32 = 4096;
/// Completions that share an interrupt, of those that are held back.
const HELD: u16 = 16;
/// Longest time that they are held back: their number ends it before.
const FOR_LONG: Duration = Duration::from_millis(60);
/// Longest time for a completion or an interrupt.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nanoseconds from the moment that a completion is seen in the status page to the return of `poll` in
/// a thread that slept.
///
/// One thread sleeps; another one submits, and looks at the status page until the completion is there.
pub(crate) fn to_poll(bench: &mut Bench) -> Result<f64, Error> {
    measure(bench, 1)
}

/// The same for the last of [`HELD`] completions that share an interrupt, while more are submitted.
pub(crate) fn to_poll_under_load(bench: &mut Bench) -> Result<f64, Error> {
    measure(bench, HELD)
}

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
        // Not before: without a completion to take there is nothing to wake up for.
        while queue.in_flight() > 0 {
            check(&queue.pop()?.ok_or(ringbar_client::Error::TimedOut)?)?;
        }
        samples.push(woken.saturating_duration_since(seen).as_nanos() as f64);
    }
    let spread = Spread::of(&samples);
    spread
        .map(|spread| spread.median)
        .ok_or_else(|| Error::Missing("no interrupts".into()))
}

/// Submits one by one when the other thread sleeps; gives the time when completion number `count` is in
/// memory. Of more than one, goes on until the other thread is awake.
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

/// Submits, and looks at the status page until the completion is there.
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

fn sleep_in_poll(device: &Device) -> Result<Instant, Error> {
    let limit = Timespec::try_from(PATIENCE).unwrap_or_default();
    let mut files = [PollFd::new(device, PollFlags::IN)];
    match poll(&mut files, Some(&limit)) {
        Ok(0) => Err(ringbar_client::Error::TimedOut.into()),
        Ok(_) => Ok(Instant::now()),
        Err(errno) => Err(Error::System {
            action: "poll",
            errno,
        }),
    }
}

/// Nanoseconds for an eventfd there and back between two threads of the guest: what the guest itself
/// needs to wake up two of them.
pub(crate) fn eventfd_in_guest(_: &mut Bench) -> Result<f64, Error> {
    let make = || eventfd(0, EventfdFlags::CLOEXEC);
    let (there, back) = (make().map_err(failed)?, make().map_err(failed)?);
    let trips = thread::scope(|scope| {
        scope.spawn(|| {
            // An error ends the thread, and then the other one has it too.
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

/// Added to the count of an eventfd, it says that it is over.
const LAST: u64 = 2;

fn signal(event: &OwnedFd, value: u64) -> Result<usize, Errno> {
    rustix::io::write(event, &value.to_ne_bytes())
}

fn wait(event: &OwnedFd) -> Result<u64, Errno> {
    let mut value = [0; 8];
    rustix::io::read(event, &mut value)?;
    Ok(u64::from_ne_bytes(value))
}

fn failed(errno: Errno) -> Error {
    Error::System {
        action: "use an eventfd",
        errno,
    }
}
