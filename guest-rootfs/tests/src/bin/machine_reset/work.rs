// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A device at work, which the reset of the machine finds.

use ringbar_client::{Device, Queue};
use ringbar_tests::{pattern_bytes, poller, sleeper, LongCopies};
use std::thread;

/// Files that copy without a pause. When one refills its ring, another copies.
const COPIERS: usize = 2;

/// A device that copies, a thread that sleeps in a call, and one that polls. They end with the
/// machine.
pub(crate) struct Work {
    _queue: Queue,
}

impl Work {
    /// Starts all of them.
    pub(crate) fn start(device: &Device, seed: u64) -> Self {
        for copier in 0..COPIERS as u64 {
            let mut copies = LongCopies::prepare(device).expect("a queue and buffers are free");
            copies.fill(&pattern_bytes(seed.wrapping_add(copier), copies.length()));
            thread::spawn(move || loop {
                copies.start().expect("the ring has room");
                copies.finish().expect("the device copies");
            });
        }
        let queue = device.create_queue(4).expect("a queue is free");
        // The threads are not waited for.
        let _threads = (sleeper(device, &queue, 1), poller(device));
        Self { _queue: queue }
    }
}
