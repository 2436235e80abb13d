// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The way of an interrupt: from a completion in memory to the return of `poll`.

use crate::bench::{check, has_posted, Bench};
use crate::{Error, Spread};
use ringbar_client::{Device, Queue};
use ringbar_spec::ring::Descriptor;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use std::hint::spin_loop;
use std::thread;
use std::time::{Duration, Instant};

/// Interrupts of a pair; its figure is their median.
const SAMPLES: usize = 20;
/// Time for the other thread to fall asleep in `poll`.
const ASLEEP: Duration = Duration::from_millis(2);
/// Longest time for a completion or an interrupt.
const PATIENCE: Duration = Duration::from_secs(10);

/// Nanoseconds from the moment that a completion is seen in the status page to the return of `poll` in
/// a thread that slept.
///
/// One thread sleeps; another one submits, and looks at the status page until the completion is there.
pub(crate) fn to_poll(bench: &mut Bench) -> Result<f64, Error> {
    let device = bench.open()?;
    let mut queue = device.create_queue(2)?;
    let mut samples = Vec::new();
    for tail in 1..=SAMPLES as u32 {
        let (woken, seen) = thread::scope(|scope| {
            let submitter = scope.spawn(|| submit_late(&mut queue, tail));
            let woken = sleep_in_poll(&device);
            let seen = submitter.join();
            let seen = seen.map_err(|_| Error::Missing("the submitter panicked".into()))?;
            Ok::<_, Error>((woken?, seen?))
        })?;
        // Not before: without a completion to take there is nothing to wake up for.
        check(&queue.pop()?.ok_or(ringbar_client::Error::TimedOut)?)?;
        samples.push(woken.saturating_duration_since(seen).as_nanos() as f64);
    }
    let spread = Spread::of(&samples);
    spread
        .map(|spread| spread.median)
        .ok_or_else(|| Error::Missing("no interrupts".into()))
}

/// Submits when the other thread sleeps; gives the time when the completion is in memory.
fn submit_late(queue: &mut Queue, tail: u32) -> Result<Instant, Error> {
    thread::sleep(ASLEEP);
    queue.push(Descriptor::default())?;
    queue.submit();
    let deadline = Instant::now() + PATIENCE;
    while !has_posted(queue, tail) {
        if Instant::now() > deadline {
            return Err(ringbar_client::Error::TimedOut.into());
        }
        spin_loop();
    }
    Ok(Instant::now())
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
