// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Threads that are asleep in the driver while something happens to the device.

use crate::ready_for;
use ringbar_client::{Device, Error, Queue};
use ringbar_uapi::ioctl::Wait;
use rustix::event::PollFlags;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Longest time for which such a thread sleeps: longer than any case needs, and a case that is wrong
/// ends by itself.
const LONGEST: Duration = Duration::from_secs(300);

/// Starts a thread that waits in `WAIT` until a queue has posted so many completions in all.
pub fn sleeper(device: &Device, queue: &Queue, completions: u32) -> JoinHandle<Result<(), Error>> {
    let device = device.clone();
    let mut wait = Wait {
        queue: queue.number(),
        completion_tail: completions,
        timeout_ms: LONGEST.as_millis() as u32,
        began: 0,
    };
    thread::spawn(move || device.wait(&mut wait))
}

/// Starts a thread that polls a file.
pub fn poller(device: &Device) -> JoinHandle<PollFlags> {
    let device = device.clone();
    thread::spawn(move || ready_for(&device, LONGEST))
}
