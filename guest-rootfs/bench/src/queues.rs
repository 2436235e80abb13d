// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Throughput of the device: as many operations as it takes, on several queues, from one thread.

use crate::bench::{check, rate, Bench, Copies, SMALL};
use crate::Error;
use ringbar_client::Queue;
use ringbar_spec::ring::Descriptor;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

/// Descriptors per submission.
const BATCH: u32 = 64;
/// Entries of a ring. Several batches fit, so that neither side waits for the other.
const ENTRIES: u32 = 512;
/// Rounds over all queues per burst.
const ROUNDS: usize = 64;

/// Returns operations per second with so many queues.
pub(crate) fn operations<const QUEUES: usize>(bench: &mut Bench) -> Result<f64, Error> {
    let device = bench.open()?;
    let copies = Copies::new(&device, SMALL)?;
    let queues = (0..QUEUES).map(|_| device.create_queue(ENTRIES));
    let mut queues: Vec<_> = queues.collect::<Result<_, _>>()?;
    rate(|| burst(&mut queues, &copies.descriptor))
}

/// Returns the server's instructions per operation. The host counts them while a queue is busy.
pub(crate) fn server_instructions(bench: &mut Bench) -> Result<f64, Error> {
    let device = bench.open()?;
    let copies = Copies::new(&device, SMALL)?;
    let mut queue = device.create_queue(ENTRIES)?;
    let stop = AtomicBool::new(false);
    let (counted, operations) = thread::scope(|scope| {
        let load = scope.spawn(|| {
            let (start, mut done) = (Instant::now(), 0u64);
            while !stop.load(Ordering::Relaxed) {
                let queues = std::slice::from_mut(&mut queue);
                done = done.saturating_add(burst(queues, &copies.descriptor)?);
            }
            Ok::<_, Error>(done as f64 / start.elapsed().as_secs_f64())
        });
        let counted = bench.ask("server-instructions");
        stop.store(true, Ordering::Relaxed);
        let load = load.join();
        (
            counted,
            load.map_err(|_| Error::Missing("the load panicked".into())),
        )
    });
    Ok(counted? / operations??)
}

/// Submits to all queues in turn and keeps them busy. Returns the number of completed operations.
fn burst(queues: &mut [Queue], descriptor: &Descriptor) -> Result<u64, Error> {
    let mut done = 0u64;
    for _ in 0..ROUNDS {
        for queue in &mut *queues {
            if queue.in_flight() <= ENTRIES - BATCH {
                for _ in 0..BATCH {
                    queue.push(*descriptor)?;
                }
                queue.submit();
            }
            while let Some(completion) = queue.pop()? {
                check(&completion)?;
                done = done.saturating_add(1);
            }
        }
    }
    Ok(done)
}
