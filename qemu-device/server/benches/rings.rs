// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Cost of the server itself, without QEMU and guest: a thread of the host has the driver's side of
//! a queue. `ci/cargo.sh bench -p ringbar-server --bench rings`; a profiler can be put on it.
//!
//! With an argument, it makes that many 64-byte copies in one thread and nothing else. Under
//! `valgrind --tool=callgrind` the difference between two numbers gives the instructions of one
//! copy.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{fence, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ringbar_endpoint::memory::SharedMemory;
use ringbar_server::events::Events;
use ringbar_server::regions;
use ringbar_server::state::State;
use ringbar_server::worker::Worker;
use ringbar_server::Options;
use ringbar_spec::regs::{
    self, Register, COMPLETION_HEAD, COMPLETION_TAIL, INLINE_COMPLETION_0, INLINE_DESCRIPTOR_0,
    SUBMISSION_INLINE, SUBMISSION_TAIL,
};
use ringbar_spec::ring::{slot, Completion, Descriptor, Opcode, INLINE_LENGTH};
use ringbar_spec::setup::{QueueSetup, Segment, WindowKind, WindowSetup, RIGHT_READ, RIGHT_WRITE};
use ringbar_vfio_user::device::{DmaMap, DmaRange};
use vm_memory::{Bytes as _, FileOffset, MmapRegion, VolatileMemory as _};
use zerocopy::IntoBytes as _;

/// Bytes of guest memory, and the DMA address of the first.
const MEMORY: usize = 8 << 20;
const BASE: u64 = 0x1000_0000;
/// Offsets of its parts.
const SETUP: u64 = 0;
const SUBMISSION: u64 = 0x1_0000;
const COMPLETION: u64 = 0x4_0000;
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
    driver.kick();
    while left > 0 {
        let batch = left.min(64);
        (0..batch).for_each(|_| driver.side.push(&copy(64)));
        driver.side.submit(&copy(64));
        work(&mut driver.state);
        left -= driver.side.take();
    }
}

/// Runs the device's part, apart so that a profiler can count it alone.
#[inline(never)]
fn work(state: &mut State) {
    state.poll();
    while state.has_work() {
        state.step();
        state.poll();
    }
}

fn copy(length: u32) -> Descriptor {
    Descriptor {
        opcode: Opcode::COPY.0,
        length,
        source_window: 1,
        destination_window: 2,
        ..Descriptor::default()
    }
}

/// A device and the driver's side of its queue.
struct Driver {
    state: State,
    side: Side,
}

/// The driver's side of a queue.
struct Side {
    memory: SharedMemory,
    words: MmapRegion,
    submitted: u32,
    taken: u32,
}

impl Driver {
    /// Makes a device with a queue and two windows.
    fn new() -> Self {
        let mut state = State::new(&Options::new("none"), Events::default()).expect("a device");
        let memory = SharedMemory::new("bench-guest", MEMORY).expect("memory");
        let file = memory.file().try_clone().expect("a descriptor");
        let mapped = state.dma_map(DmaMap {
            range: DmaRange::new(BASE, MEMORY as u64).expect("a range"),
            read: true,
            write: true,
            file: Some((file.into(), 0)),
        });
        mapped.expect("a mapping");
        let on = 6_u16.to_le_bytes();
        state.write(regions::CONFIG, 4, &on).expect("it is written");
        let file = state.region_file(regions::REGISTERS).expect("a file");
        let file = FileOffset::new(file.try_clone().expect("a descriptor"), 0);
        let size = state.regions()[regions::REGISTERS as usize].size as usize;
        let mut driver = Self {
            side: Side {
                memory,
                words: MmapRegion::from_file(file, size).expect("a mapping"),
                submitted: 0,
                taken: 0,
            },
            state,
        };
        let queue = QueueSetup {
            submission_ring: BASE + SUBMISSION,
            completion_ring: BASE + COMPLETION,
            submission_entries: ENTRIES,
            completion_entries: ENTRIES,
            ..QueueSetup::default()
        };
        driver.command(Register::QUEUE_START, queue.as_bytes());
        for (window, start, rights) in [(1, SOURCE, RIGHT_READ), (2, DESTINATION, RIGHT_WRITE)] {
            let setup = WindowSetup {
                window,
                kind: WindowKind::SEGMENTS.0,
                rights,
                length: WINDOW,
                segments: 1,
                ..WindowSetup::default()
            };
            let segment = Segment {
                address: BASE + start,
                length: WINDOW,
            };
            let block = [setup.as_bytes(), segment.as_bytes()].concat();
            driver.command(Register::WINDOW_OPEN, &block);
        }
        driver.side.store(regs::INTERRUPT_AT::INFO.offset, u32::MAX);
        let at = regs::DRIVER_INTERRUPT_AT::INFO.offset;
        driver.side.store(at, u32::MAX);
        driver
    }

    /// Writes an admin command, which must be carried out.
    fn command(&mut self, register: Register, block: &[u8]) {
        self.side.write(SETUP, block);
        let at = register.info().offset as u64;
        let written = self
            .state
            .write(regions::REGISTERS, at, &(BASE + SETUP).to_le_bytes());
        written.expect("it is written");
        let mut status = [0; 4];
        let at = Register::ADMIN_STATUS.info().offset as u64;
        let read = self.state.read(regions::REGISTERS, at, &mut status);
        read.expect("it is read");
        assert_eq!(status, [0; 4], "{register:?}");
    }

    fn kick(&mut self) {
        kick(&mut self.state);
    }

    /// Moves the device to a thread of its own, as in the server.
    fn with_a_thread(self) -> (Worker, Side) {
        let worker = Worker::start(self.state, AWAKE).expect("a thread");
        worker.with(kick);
        (worker, self.side)
    }
}

fn kick(state: &mut State) {
    let at = regs::KICK::INFO.offset as u64;
    let written = state.write(regions::REGISTERS, at, &[0; 4]);
    written.expect("it is written");
}

impl Side {
    /// Returns operations per second: copies of `size` bytes, `batch` at a time. With more than
    /// one, a second batch is submitted before the first is complete.
    fn operations(&mut self, _worker: &Worker, size: u32, batch: u32) -> f64 {
        let descriptor = copy(size);
        let ahead = if batch == 1 { 1 } else { 2 * batch };
        rate(|| {
            let mut done = 0;
            while done < 16 * batch {
                if self.submitted.wrapping_sub(self.taken) + batch <= ahead {
                    (0..batch).for_each(|_| self.push(&descriptor));
                    self.submit(&descriptor);
                }
                done += self.take();
            }
            done
        })
    }

    fn push(&mut self, descriptor: &Descriptor) {
        let place = u64::from(slot(self.submitted, ENTRIES)) * size_of::<Descriptor>() as u64;
        self.write(SUBMISSION + place, descriptor.as_bytes());
        self.submitted = self.submitted.wrapping_add(1);
    }

    fn submit(&self, descriptor: &Descriptor) {
        let single = self.submitted.wrapping_sub(self.taken) == 1;
        if single {
            let bytes = &descriptor.as_bytes()[..INLINE_LENGTH];
            let place = self
                .words
                .get_slice(INLINE_DESCRIPTOR_0::INFO.offset, bytes.len());
            place.expect("inside").copy_from(bytes);
        }
        self.store(SUBMISSION_INLINE::INFO.offset, single.into());
        self.store(SUBMISSION_TAIL::INFO.offset, self.submitted);
        fence(Ordering::SeqCst);
    }

    /// Takes all completions. Returns their number.
    fn take(&mut self) -> u32 {
        let tail = self
            .word(COMPLETION_TAIL::INFO.offset)
            .load(Ordering::Acquire);
        let done = tail.wrapping_sub(self.taken);
        if done == 0 {
            spin_loop();
            return 0;
        }
        let single = self.submitted.wrapping_sub(self.taken) == 1;
        for number in 0..done {
            let index = self.taken.wrapping_add(number);
            let place = u64::from(slot(index, ENTRIES)) * size_of::<Completion>() as u64;
            let mut bytes = [0; size_of::<Completion>()];
            let memory = match single {
                true => {
                    let place = INLINE_COMPLETION_0::INFO.offset;
                    self.words.get_slice(place, bytes.len()).ok()
                }
                false => self.memory.slice(COMPLETION + place, bytes.len()),
            };
            memory.expect("inside").copy_to(&mut bytes);
            assert_eq!(bytes, [0; size_of::<Completion>()], "a completion");
        }
        self.taken = tail;
        self.store(COMPLETION_HEAD::INFO.offset, tail);
        done
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        let memory = self.memory.slice(offset, bytes.len());
        memory
            .expect("inside")
            .write_slice(bytes, 0)
            .expect("inside");
    }

    fn store(&self, offset: usize, value: u32) {
        self.word(offset).store(value, Ordering::Release);
    }

    fn word(&self, offset: usize) -> &AtomicU32 {
        self.words
            .get_atomic_ref(offset)
            .expect("a word of the BAR")
    }
}
