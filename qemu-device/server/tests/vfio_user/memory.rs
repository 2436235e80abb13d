// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The memory of the server's own that a device with all its queues and windows takes.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use ringbar_driver_side::descriptors::copy;
use ringbar_driver_side::ring::Ring;
use ringbar_driver_side::{admin, blocks, QueueMemory, Registers};
use ringbar_server::options::InterruptKind;
use ringbar_spec::layout::MAX_QUEUES;
use ringbar_spec::ring::Status;
use ringbar_spec::setup::{QueueSetup, Segment, WindowSetup, MAX_WINDOWS, RIGHT_READ, RIGHT_WRITE};

use crate::guest::{Guest, BASE, BUFFER, BUFFER_SIZE};
use crate::process::Running;

/// Most bytes of the server's own memory.
const MOST: u64 = 12 << 20;
/// Segments of each window, and entries of each ring.
const SEGMENTS: u64 = 16;
const ENTRIES: u32 = 16;
/// DMA addresses of set-up blocks and of rings, behind the buffer.
const BLOCK: u64 = BASE + BUFFER + BUFFER_SIZE;
const RINGS: u64 = BLOCK + 0x1_0000;
/// Time after which an operation counts as never done.
const PATIENCE: Duration = Duration::from_secs(20);

/// Returns the most memory that the process has had at a time, without the memory that it shares by
/// files in memory: that of the guest and of its own BARs.
fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let value = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
        kibibytes.parse::<u64>().unwrap() << 10
    };
    value("VmHWM:") - value("RssShmem:")
}

/// Opens a window of several segments on a part of the buffer.
fn open_window(guest: &mut Guest, window: u16) {
    let list: Vec<Segment> = (0..SEGMENTS)
        .map(|segment| Segment {
            address: BASE + BUFFER + segment * 0x2000,
            length: 0x1000,
        })
        .collect();
    let setup = WindowSetup {
        window: window.into(),
        ..blocks::segments(RIGHT_READ | RIGHT_WRITE, &list)
    };
    let shared = guest.shared.clone();
    admin::open_window(guest, shared, BLOCK, &setup, &list).unwrap();
}

#[test]
fn all_queues_and_windows_take_little_memory() {
    let queues = MAX_QUEUES.to_string();
    let server = Running::start(&["--once", "--queues", &queues]);
    let mut guest = Guest::attach(&server.socket, InterruptKind::Msix);
    guest.map_memory();
    guest.set_bus_master(true);
    for window in 1..=MAX_WINDOWS {
        open_window(&mut guest, window);
    }
    for queue in 0..MAX_QUEUES as u32 {
        let rings = RINGS + u64::from(queue) * 0x1000;
        let setup = QueueSetup {
            queue,
            ..blocks::queue(rings, ENTRIES)
        };
        let shared = guest.shared.clone();
        let memory: QueueMemory<_> = admin::start_queue(&mut guest, shared, BLOCK, &setup).unwrap();
        let mut ring = Ring::new(memory, ENTRIES, true);
        let window = MAX_WINDOWS - queue as u16;
        let bytes = SEGMENTS as u32 * 0x1000;
        ring.push(&copy(queue, (window, 0), (window, 0), bytes))
            .unwrap();
        if ring.submit() {
            Registers::kick(&mut guest, queue).unwrap();
        }
        let start = Instant::now();
        let done = loop {
            match ring.pop().unwrap() {
                Some(done) => break done,
                None => assert!(start.elapsed() < PATIENCE, "queue {queue} does nothing"),
            }
            thread::yield_now();
        };
        assert_eq!(Status(done.status), Status::OK);
    }

    let peak = peak(server.child.id());

    println!("{} KiB", peak >> 10);
    assert!(peak <= MOST, "{peak} bytes, the limit is {MOST}");
}
