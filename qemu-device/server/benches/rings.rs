// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Cost of the server itself, without QEMU and guest: a thread of the host has the driver's side of
//! a queue. `ci/cargo.sh bench -p ringbar-server --bench rings`; a profiler can be put on it.
//!
//! With two numbers as arguments, it makes that many 64-byte copies in batches of that size, in one
//! thread, and nothing else. Under `valgrind --tool=callgrind` that gives the instructions of one
//! copy.

#[path = "../tests/common/alone.rs"]
mod alone;

use std::hint::{black_box, spin_loop};
use std::time::{Duration, Instant};

use alone::{copy, work, Driver, Side};
use ringbar_endpoint::Worker;
use ringbar_server::ringbar::Ringbar;

/// Shortest time of a measurement.
const BURST: Duration = Duration::from_millis(20);
/// Size of a page.
const PAGE: usize = 4096;
/// Number of pairs of measurements; odd, so that one is in the middle.
const PAIRS: usize = 31;

fn main() {
    // `cargo bench` passes `--bench` too.
    let mut numbers = std::env::args().skip(1).filter_map(|it| it.parse().ok());
    if let Some(count) = numbers.next() {
        return in_one_thread(count, numbers.next().unwrap_or(64));
    }
    let Driver { device, mut side } = Driver::new();
    // A thread of its own for the device, as in the server.
    let worker = Worker::start(device).expect("a thread");
    let trip = medians(|| (operations(&mut side, &worker, 64, 1), 0.0)).0;
    println!("64-byte copy there and back: {:.0} ns", 1e9 / trip);
    let rate = medians(|| (operations(&mut side, &worker, 64, 64), 0.0)).0;
    println!("64-byte copies, 64 at a time: {:.2} M/s", rate / 1e6);
    for size in [4 << 10, 64 << 10, 1 << 20] {
        let (ours, memcpy) = medians(|| {
            let batch = (256 << 10) / size.clamp(4 << 10, 256 << 10);
            (operations(&mut side, &worker, size, batch), memcpy(size))
        });
        let bandwidth = |rate: f64| rate * f64::from(size) / 1e9;
        println!(
            "copies of {size} bytes: {:.1} GB/s, {:.3} of memcpy",
            bandwidth(ours),
            ours / memcpy
        );
    }
}

/// Returns the medians of some measurements.
fn medians(mut measure: impl FnMut() -> (f64, f64)) -> (f64, f64) {
    let (mut one, mut other): (Vec<_>, Vec<_>) = (0..PAIRS).map(|_| measure()).unzip();
    one.sort_by(f64::total_cmp);
    other.sort_by(f64::total_cmp);
    (one[PAIRS / 2], other[PAIRS / 2])
}

/// Returns how many copies of this size this thread makes per second, between buffers that begin at
/// a page, as those of the device do.
fn memcpy(size: u32) -> f64 {
    let size = size as usize;
    let (mut source, mut destination) = (vec![0x5a_u8; size + PAGE], vec![0_u8; size + PAGE]);
    let (source, destination) = (at_page(&mut source), at_page(&mut destination));
    rate(|| {
        for _ in 0..16 {
            black_box(&mut destination[..size]).copy_from_slice(black_box(&source[..size]));
        }
        16
    })
}

/// Returns the bytes from the first boundary of a page on. Without this, an allocator that puts its
/// notes before a buffer would halve the bandwidth of `memcpy`.
fn at_page(buffer: &mut [u8]) -> &mut [u8] {
    let start = buffer.as_ptr().align_offset(PAGE);
    &mut buffer[start..]
}

/// Returns the rate of `burst` per second.
fn rate(mut burst: impl FnMut() -> u32) -> f64 {
    burst();
    let (start, mut done) = (Instant::now(), 0_u64);
    while start.elapsed() < BURST {
        done += u64::from(burst());
    }
    done as f64 / start.elapsed().as_secs_f64()
}

/// Runs device and driver in one thread.
fn in_one_thread(count: u32, batch: u32) {
    let Driver {
        mut device,
        mut side,
    } = Driver::new();
    let descriptor = copy(64);
    let mut left = count;
    while left > 0 {
        side.submit(&descriptor, left.min(batch));
        work(&mut device);
        left -= side.take();
    }
}

/// Returns operations per second: copies of `size` bytes, `batch` at a time. With more than one, a
/// second batch is submitted before the first is complete.
fn operations(side: &mut Side, _worker: &Worker<Ringbar>, size: u32, batch: u32) -> f64 {
    let descriptor = copy(size);
    let ahead = if batch == 1 { 1 } else { 2 * batch };
    rate(|| {
        let mut done = 0;
        while done < 16 * batch {
            if side.0.in_flight() + batch <= ahead {
                side.submit(&descriptor, batch);
            }
            match side.take() {
                0 => spin_loop(),
                taken => done += taken,
            }
        }
        done
    })
}
