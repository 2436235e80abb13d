// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Cost of the server itself, without QEMU and guest: a thread of the host has the driver's side of
//! a queue. `ci/cargo.sh bench -p ringbar-server --bench rings`; a profiler can be put on it.
//!
//! With an argument, it makes that many 64-byte copies in one thread and nothing else. Under
//! `valgrind --tool=callgrind` the difference between two numbers gives the instructions of one
//! copy.

use std::hint::{black_box, spin_loop};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringbar_driver_side::ring::Ring;
use ringbar_driver_side::{admin, blocks, bring_up, descriptors, Function, QueueMemory, Registers};
use ringbar_endpoint::config_space;
use ringbar_endpoint::memory::SharedMemory;
use ringbar_endpoint::{Endpoint, Worker};
use ringbar_mapped::Mapped;
use ringbar_server::events::Events;
use ringbar_server::ringbar::{self, Ringbar};
use ringbar_server::Options;
use ringbar_spec::layout::REGISTER_BAR;
use ringbar_spec::ring::{Completion, Descriptor};
use ringbar_spec::setup::{Segment, WindowSetup, RIGHT_READ, RIGHT_WRITE};
use ringbar_vfio_user::device::{Device as _, DmaMap, DmaRange};
use ringbar_vfio_user::Errno;
use vm_memory::{FileOffset, MmapRegion};

/// Bytes of guest memory, and the DMA address of the first.
const MEMORY: usize = 8 << 20;
const BASE: u64 = 0x1000_0000;
/// Offsets of its parts.
const SETUP: u64 = 0;
const RINGS: u64 = 0x1_0000;
const SOURCE: u64 = 0x10_0000;
const DESTINATION: u64 = 0x40_0000;
/// Bytes of each window.
const WINDOW: u64 = 1 << 20;
/// Entries of the rings.
const ENTRIES: u32 = 512;
/// Polling time, so long that a queue never sleeps here.
const AWAKE: Duration = Duration::from_secs(60);
/// Shortest time of a measurement.
const BURST: Duration = Duration::from_millis(20);
/// Number of pairs of measurements; odd, so that one is in the middle.
const PAIRS: usize = 31;

fn main() {
    // `cargo bench` passes `--bench` too.
    let count = std::env::args().skip(1).find_map(|it| it.parse().ok());
    if let Some(count) = count {
        return alone(count);
    }
    let driver = Driver::new();
    let (worker, mut driver) = driver.with_a_thread();
    let trip = medians(|| (driver.operations(&worker, 64, 1), 0.0)).0;
    println!("64-byte copy there and back: {:.0} ns", 1e9 / trip);
    let rate = medians(|| (driver.operations(&worker, 64, 64), 0.0)).0;
    println!("64-byte copies, 64 at a time: {:.2} M/s", rate / 1e6);
    for size in [4 << 10, 64 << 10, 1 << 20] {
        let (ours, memcpy) = medians(|| {
            let batch = (256 << 10) / size.clamp(4 << 10, 256 << 10);
            (driver.operations(&worker, size, batch), memcpy(size))
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

/// Returns how many copies of this size this thread makes per second.
fn memcpy(size: u32) -> f64 {
    let source = vec![0x5a_u8; size as usize];
    let mut destination = vec![0_u8; size as usize];
    rate(|| {
        for _ in 0..16 {
            black_box(&mut destination).copy_from_slice(black_box(&source));
        }
        16
    })
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
fn alone(count: u32) {
    let mut driver = Driver::new();
    let mut left = count;
    Behind(&mut driver.device).kick(0).expect("it is written");
    while left > 0 {
        let batch = left.min(64);
        driver.side.submit(&copy(64), batch);
        work(&mut driver.device);
        left -= driver.side.take();
    }
}

/// Runs the device's part, apart so that a profiler can count it alone.
#[inline(never)]
fn work(device: &mut Endpoint<Ringbar>) {
    device.run(|ringbar, bus| {
        ringbar.poll(bus);
        while ringbar.has_steps() {
            ringbar.step(bus);
            ringbar.poll(bus);
        }
    });
}

fn copy(length: u32) -> Descriptor {
    descriptors::copy(0, (1, 0), (2, 0), length)
}

/// A device and the driver's side of its queue.
struct Driver {
    device: Endpoint<Ringbar>,
    side: Side,
}

/// The driver's side of a queue.
struct Side(Ring<QueueMemory<Mapped>>);

/// The device's registers, without a connection.
struct Behind<'a>(&'a mut Endpoint<Ringbar>);

impl Driver {
    /// Makes a device with a queue and two windows.
    fn new() -> Self {
        let mut options = Options::new("none");
        options.poll_time = AWAKE.as_micros() as u32;
        let mut device = ringbar::endpoint(&options, Events::default()).expect("a device");
        let memory = SharedMemory::new("bench-guest", MEMORY).expect("memory");
        let file = memory.file().try_clone().expect("a descriptor");
        let mapped = device.dma_map(DmaMap {
            range: DmaRange::new(BASE, MEMORY as u64).expect("a range"),
            read: true,
            write: true,
            file: Some((file.into(), 0)),
        });
        mapped.expect("a mapping");
        let registers = &device.regions()[REGISTER_BAR as usize];
        let file = &registers.shared.as_ref().expect("shared pages").file;
        let shared = Mapped {
            registers: map(file.as_fd(), registers.size as usize),
            memory: map(memory.file().as_fd(), MEMORY),
            base: BASE,
        };
        let mut behind = Behind(&mut device);
        bring_up::begin(&mut behind).expect("a device");
        let setup = blocks::queue(BASE + RINGS, ENTRIES);
        let queue = admin::start_queue(&mut behind, shared.clone(), BASE + SETUP, &setup);
        for (window, start, rights) in [(1, SOURCE, RIGHT_READ), (2, DESTINATION, RIGHT_WRITE)] {
            let list = [Segment {
                address: BASE + start,
                length: WINDOW,
            }];
            let setup = WindowSetup {
                window,
                ..blocks::segments(rights, &list)
            };
            let opened = admin::open_window(&mut behind, &shared, BASE + SETUP, &setup, &list);
            opened.expect("a window");
        }
        let side = Side(Ring::new(queue.expect("a queue"), ENTRIES, true));
        Self { device, side }
    }

    /// Moves the device to a thread of its own, as in the server.
    fn with_a_thread(self) -> (Worker<Ringbar>, Side) {
        let worker = Worker::start(self.device).expect("a thread");
        worker.with(|device| Behind(device).kick(0).expect("it is written"));
        (worker, self.side)
    }
}

fn map(file: BorrowedFd<'_>, size: usize) -> Arc<MmapRegion> {
    let file = file.try_clone_to_owned().expect("a descriptor");
    let file = FileOffset::new(file.into(), 0);
    Arc::new(MmapRegion::from_file(file, size).expect("a mapping"))
}

impl Registers for Behind<'_> {
    type Error = Errno;

    fn read_register(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), Errno> {
        self.0.read(REGISTER_BAR, offset as u64, bytes)
    }

    fn write_register(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Errno> {
        self.0.write(REGISTER_BAR, offset as u64, bytes)
    }
}

impl Function for Behind<'_> {
    fn read_config(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), Errno> {
        self.0.read(config_space::REGION, offset as u64, bytes)
    }

    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Errno> {
        self.0.write(config_space::REGION, offset as u64, bytes)
    }
}

impl Side {
    /// Returns operations per second: copies of `size` bytes, `batch` at a time. With more than
    /// one, a second batch is submitted before the first is complete.
    fn operations(&mut self, _worker: &Worker<Ringbar>, size: u32, batch: u32) -> f64 {
        let descriptor = copy(size);
        let ahead = if batch == 1 { 1 } else { 2 * batch };
        rate(|| {
            let mut done = 0;
            while done < 16 * batch {
                if self.0.in_flight() + batch <= ahead {
                    self.submit(&descriptor, batch);
                }
                done += self.take();
            }
            done
        })
    }

    fn submit(&mut self, descriptor: &Descriptor, count: u32) {
        for _ in 0..count {
            self.0.push(descriptor).expect("room in the ring");
        }
        assert!(!self.0.submit(), "the device fell asleep");
    }

    /// Takes all completions. Returns their number.
    fn take(&mut self) -> u32 {
        let before = self.0.in_flight();
        while self.0.in_flight() > 0
            && let Some(completion) = self.0.pop().expect("a queue that runs")
        {
            assert_eq!(completion, Completion::default(), "a completion");
        }
        let done = before - self.0.in_flight();
        if done == 0 {
            spin_loop();
        }
        done
    }
}
