// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory that was given back belongs to its next owner alone.

use crate::{ends_with, fill, DEVICE_PARTS};
use ringbar_client::{Buffer, Device, DeviceMemory, Mapping, Part, Rights};
use ringbar_spec::ring::{Completion, Descriptor, Status};
use ringbar_tests::{case, open, succeed, PATIENCE};

/// Largest buffer. Four of them are the longest copy.
const LARGEST: usize = 4 << 20;
const LONGEST: u32 = 16 << 20;
/// Longest copies that are in flight. With few of them, a fast server has done all before a slow
/// guest has destroyed the buffer.
const MANY: u32 = 60;

#[case]
fn next_owner_of_a_destroyed_buffer_finds_zeros() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    for part in [None, Some(0), Some(1), Some(2)] {
        let own = match part {
            None => Own::buffer(&device),
            Some(part) => Own::memory(&device, DEVICE_PARTS[part]),
        };
        let number = own.window();
        succeed(&mut queue, fill(number, 0, LARGEST as u32 / 4));
        own.close();
        // Another file gets the number, and perhaps the same memory.
        let other = open();
        let next = match part {
            None => Own::buffer(&other),
            Some(part) => Own::memory(&other, DEVICE_PARTS[part]),
        };
        assert_eq!(next.window(), number);
        assert!(next.is_zero(), "{part:?}");
        ends_with(&mut queue, fill(number, 0, 8), Status::BAD_WINDOW);
        assert!(next.is_zero(), "{part:?}");
    }
}

/// Memory that a file can own and give back, a quarter of the largest buffer in size.
enum Own {
    Buffer(Buffer),
    Memory(DeviceMemory),
}

impl Own {
    const SIZE: usize = LARGEST / 4;

    fn buffer(device: &Device) -> Self {
        Self::Buffer(device.create_buffer(Self::SIZE, Rights::ReadWrite).unwrap())
    }

    fn memory(device: &Device, part: Part) -> Self {
        let memory = device.create_device_memory(part, Self::SIZE, Rights::ReadWrite);
        Self::Memory(memory.unwrap())
    }

    fn window(&self) -> u16 {
        match self {
            Self::Buffer(buffer) => buffer.window(),
            Self::Memory(memory) => memory.window(),
        }
    }

    fn mapping(&self) -> &Mapping {
        match self {
            Self::Buffer(buffer) => buffer.mapping(),
            Self::Memory(memory) => memory.mapping(),
        }
    }

    fn is_zero(&self) -> bool {
        let bytes = self.mapping().read_bytes(0, Self::SIZE);
        bytes.iter().all(|byte| *byte == 0)
    }

    fn close(self) {
        match self {
            Self::Buffer(buffer) => buffer.close().unwrap(),
            Self::Memory(memory) => memory.close().unwrap(),
        }
    }
}

#[case]
fn buffer_destroyed_during_a_long_copy_is_not_written_afterwards() {
    let device = open();
    let mut queue = device.create_queue(64).unwrap();
    let mut broken_off = 0;
    for round in 0..20 {
        let buffer = device.create_buffer(LARGEST, Rights::ReadWrite).unwrap();
        let whole = buffer.part(0..LARGEST as u64);
        let window = device.open_window(&[whole; 4], Rights::Write).unwrap();
        for tag in 0..MANY {
            let fill = fill(window.number(), 0, LONGEST);
            queue.push(Descriptor { tag, ..fill }).unwrap();
        }
        queue.submit();
        if round % 2 == 0 {
            // When the first is done, the others are in flight.
            queue.wait(1, PATIENCE).unwrap();
        }
        buffer.close().unwrap();

        // From here on the memory may belong to the new buffers. The device must not write it.
        let next = [(); 2].map(|()| device.create_buffer(LARGEST, Rights::Read).unwrap());
        queue.wait(MANY, PATIENCE).unwrap();
        let completions: Vec<Completion> = (0..MANY)
            .map(|_| queue.pop().unwrap().expect("it was waited for"))
            .collect();
        // Completed descriptors come first, then at most one that was aborted. The rest found no
        // window, or the window of a new buffer under the same number, which is too short.
        let statuses: Vec<_> = completions.iter().map(|done| Status(done.status)).collect();
        let rest = statuses.iter().skip_while(|status| **status == Status::OK);
        let rest: Vec<_> = rest.collect();
        let (aborted, closed) = match rest.split_first() {
            Some((first, others)) if **first == Status::ABORTED => (1, others),
            _ => (0, &rest[..]),
        };
        assert!(
            closed
                .iter()
                .all(|status| matches!(**status, Status::BAD_WINDOW | Status::OUT_OF_BOUNDS)),
            "{statuses:?}"
        );
        broken_off += aborted;
        for buffer in next {
            let bytes = buffer.mapping().read_bytes(0, LARGEST);
            assert!(bytes.iter().all(|byte| *byte == 0));
            buffer.close().unwrap();
        }
    }
    println!("# {broken_off} of 20 buffers destroyed during a copy");
    assert_ne!(broken_off, 0);
}
