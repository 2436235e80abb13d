// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The attacker's memory: a queue, windows of every kind, and around each window bytes that must
//! not change.

use crate::victim::{pattern, Victim};
use ringbar_client::{Buffer, Device, DeviceMemory, Mapping, Part, Queue, Rights, Window};
use ringbar_test_vectors::{Opened, Target};
use ringbar_tests::open;
use std::ops::Range;

/// Bytes per buffer.
pub(crate) const SIZE: usize = 64 << 10;
/// The buffer's parts in a window: odd offsets and lengths, in another order than in the buffer.
const PARTS: [Range<u64>; 4] = [9000..13_097, 101..2100, 2500..2501, 20_479..24_576];
/// Part of the write-only buffer that a window shows.
const WRITE_PART: Range<u64> = 777..50_003;
/// Part of the device memory that a window shows.
const DEVICE_PART: Range<u64> = 4173..12_099;

/// The attacker's queue, memory and windows.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) device: Device,
    pub(crate) queue: Queue,
    seed: u64,
    parts: Buffer,
    read_only: Buffer,
    device_memory: DeviceMemory,
    write_only: Buffer,
    // Windows stay open until the file is closed.
    _windows: [Window; 3],
    targets: Vec<Target>,
}

impl Ground {
    /// Makes the memory, fills it from `seed`, and opens the windows.
    pub(crate) fn new(entries: u32, victim: &Victim, seed: u64) -> Self {
        let device = open();
        let queue = device.create_queue(entries).expect("a queue is free");
        let buffer = |rights| device.create_buffer(SIZE, rights).expect("there is memory");
        let (parts, read_only) = (buffer(Rights::ReadWrite), buffer(Rights::Read));
        let (write_only, freed) = (buffer(Rights::Write), buffer(Rights::ReadWrite));
        let device_memory = device
            .create_device_memory(Part::WriteCombining, SIZE, Rights::ReadWrite)
            .expect("there is device memory");
        let scattered = device
            .open_window(&PARTS.map(|range| parts.part(range)), Rights::ReadWrite)
            .expect("the parts lie in the buffer");
        let on_device = device
            .open_window(&[device_memory.part(DEVICE_PART)], Rights::ReadWrite)
            .expect("the part lies in the range");
        let written = device
            .open_window(&[write_only.part(WRITE_PART)], Rights::Write)
            .expect("the part lies in the buffer");
        let closed = device
            .open_window(&[parts.part(0..SIZE as u64 / 16)], Rights::ReadWrite)
            .expect("the part lies in the buffer");

        let usable = |window, length, readable, writable| Target {
            window,
            open: Some(Opened {
                length,
                readable,
                writable,
            }),
        };
        let useless = |window| Target { window, open: None };
        let length = PARTS.iter().map(|part| part.end - part.start).sum();
        let device_length = DEVICE_PART.end - DEVICE_PART.start;
        let write_length = WRITE_PART.end - WRITE_PART.start;
        let mut targets = vec![
            usable(scattered.number(), length, true, true),
            usable(on_device.number(), device_length, true, true),
            usable(read_only.window(), SIZE as u64, true, false),
            usable(written.number(), write_length, false, true),
            useless(closed.number()),
            useless(freed.window()),
            useless(0),
            useless(1024),
            useless(1025),
            useless(u16::MAX),
        ];
        targets.extend(victim.windows().iter().copied().map(useless));
        closed.close().expect("it is open");
        freed.close().expect("it is there");

        let ground = Self {
            device,
            queue,
            seed,
            parts,
            read_only,
            device_memory,
            write_only,
            _windows: [scattered, on_device, written],
            targets,
        };
        for (mapping, _) in ground.guarded() {
            mapping.write_bytes(0, &pattern(seed, SIZE));
        }
        ground
    }

    /// Returns the windows that descriptors may name. Windows that show guard bytes are not among
    /// them.
    pub(crate) fn windows(&self) -> Vec<Target> {
        self.targets.clone()
    }

    /// Fails if a byte changed that no window shows for writing.
    pub(crate) fn assert_guards(&self) {
        let before = pattern(self.seed, SIZE);
        for (mapping, mut open) in self.guarded() {
            open.sort_by_key(|range| range.start);
            let now = mapping.read_bytes(0, SIZE);
            let mut start = 0;
            for range in open.into_iter().chain(std::iter::once(SIZE..SIZE)) {
                let guard = start..range.start;
                let changed = guard.clone().find(|&at| now[at] != before[at]);
                assert_eq!(changed, None, "first byte of {guard:?} that has changed");
                start = range.end;
            }
        }
    }

    /// Returns each memory with guard bytes, and its ranges that the device may write.
    fn guarded(&self) -> [(&Mapping, Vec<Range<usize>>); 4] {
        let part = |range: Range<u64>| range.start as usize..range.end as usize;
        [
            (self.parts.mapping(), PARTS.map(part).to_vec()),
            (self.read_only.mapping(), Vec::new()),
            (self.write_only.mapping(), vec![part(WRITE_PART)]),
            (self.device_memory.mapping(), vec![part(DEVICE_PART)]),
        ]
    }
}
