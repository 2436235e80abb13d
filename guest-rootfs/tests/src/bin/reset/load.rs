// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device at work when a reset comes: copies in flight, a sleeper, a poller.

use ringbar_client::{Buffer, Device, Error, Queue, Rights};
use ringbar_tests::{copy, open, sleeper};
use rustix::io::Errno;
use std::thread::JoinHandle;
use std::time::Duration;

pub(crate) const ENTRIES: u32 = 16;
/// Bytes of a copy that is in flight when the reset comes.
pub(crate) const COPY: usize = 1 << 20;
/// Longer than any wait of a test.
pub(crate) const LONG: Duration = Duration::from_secs(300);

/// Queues of one file with copies in flight.
pub(crate) struct Load {
    pub(crate) device: Device,
    pub(crate) buffers: [Buffer; 2],
    pub(crate) queues: Vec<Queue>,
}

impl Load {
    pub(crate) fn start() -> Self {
        let device = open();
        let buffers =
            [Rights::Read, Rights::Write].map(|rights| device.create_buffer(COPY, rights).unwrap());
        let queues = (0..3).map(|_| device.create_queue(ENTRIES).unwrap());
        let mut load = Self {
            queues: queues.collect(),
            device,
            buffers,
        };
        load.queues.iter_mut().for_each(|queue| {
            let copy = copy(&load.buffers[0], &load.buffers[1], COPY);
            (0..ENTRIES).for_each(|_| queue.push(copy).unwrap());
            queue.submit();
        });
        load
    }

    /// Starts a thread that waits for one more completion than there will be.
    pub(crate) fn sleeper(&self) -> JoinHandle<Result<(), Error>> {
        sleeper(&self.device, &self.queues[0], ENTRIES + 1)
    }
}

/// Opens the device with a queue that never completes anything. So only a reset makes the file ready.
pub(crate) fn idle() -> (Device, Queue) {
    let device = open();
    let queue = device.create_queue(ENTRIES).unwrap();
    (device, queue)
}

/// Fails unless a call returned `EIO`.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert_eq!(result.expect_err("refused").errno(), Some(Errno::IO));
}
