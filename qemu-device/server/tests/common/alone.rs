// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A device and the driver's side of a queue of it, in one process without a socket. Benchmarks use
//! it too.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use ringbar_driver_side::ring::Ring;
use ringbar_driver_side::{admin, blocks, bring_up, descriptors, Function, QueueMemory, Registers};
use ringbar_endpoint::config_space;
use ringbar_endpoint::memory::SharedMemory;
use ringbar_endpoint::Endpoint;
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

/// A device and the driver's side of its queue.
pub(crate) struct Driver {
    pub(crate) device: Endpoint<Ringbar>,
    pub(crate) side: Side,
}

/// The driver's side of a queue.
pub(crate) struct Side(pub(crate) Ring<QueueMemory<Mapped>>);

/// The device's registers, without a connection.
pub(crate) struct Behind<'a>(pub(crate) &'a mut Endpoint<Ringbar>);

impl Driver {
    /// Makes a device with a queue, awake, and two windows.
    pub(crate) fn new() -> Self {
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
        behind.kick(0).expect("it is written");
        Self { device, side }
    }
}

/// Runs the device's part, apart so that a profiler can count it alone.
#[inline(never)]
pub(crate) fn work(device: &mut Endpoint<Ringbar>) {
    device.run(|ringbar, bus| {
        ringbar.poll(bus);
        while ringbar.has_steps() {
            ringbar.step(bus);
            ringbar.poll(bus);
        }
    });
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
    /// Submits a descriptor this many times.
    pub(crate) fn submit(&mut self, descriptor: &Descriptor, count: u32) {
        for _ in 0..count {
            self.0.push(descriptor).expect("room in the ring");
        }
        assert!(!self.0.submit(), "the device fell asleep");
    }

    /// Takes all completions. Returns their number.
    pub(crate) fn take(&mut self) -> u32 {
        let before = self.0.in_flight();
        while self.0.in_flight() > 0
            && let Some(completion) = self.0.pop().expect("a queue that runs")
        {
            assert_eq!(completion, Completion::default(), "a completion");
        }
        before - self.0.in_flight()
    }
}

/// Makes a descriptor that copies from one window to the other.
pub(crate) fn copy(length: u32) -> Descriptor {
    descriptors::copy(0, (1, 0), (2, 0), length)
}
