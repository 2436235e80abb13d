// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Makes a region of each kind. A region lives until its file is closed.

use ringbar_client::{Device, MemoryKind, Part, Policy, QueueOffsets, Rights};
use ringbar_tests::{open, NODE};
use ringbar_uapi::mmap::PUBLIC_REGISTERS;

pub(crate) const PAGE: usize = 4096;

/// A kind of mapping, by its name in the table.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    make: fn(&Device) -> (u64, usize),
}

/// A region that a process can map.
pub(crate) struct Region {
    pub(crate) device: Device,
    /// mmap offset of its start.
    pub(crate) offset: u64,
    pub(crate) size: usize,
}

impl Kind {
    /// Makes a region of the kind, with a file of its own and without a mapping.
    pub(crate) fn make(&self) -> Region {
        self.make_by(open())
    }

    /// Makes a region of the kind through a file opened read-only.
    pub(crate) fn make_read_only(&self) -> Region {
        self.make_by(Device::open_read_only(NODE).expect("the node can be opened"))
    }

    fn make_by(&self, device: Device) -> Region {
        let (offset, size) = (self.make)(&device);
        Region {
            device,
            offset,
            size,
        }
    }
}

pub(crate) const KINDS: &[Kind] = &[
    Kind {
        name: "public-registers",
        make: |_| (PUBLIC_REGISTERS, PAGE),
    },
    Kind {
        name: "kick",
        make: |device| queue(device, |offsets| offsets.kick, PAGE),
    },
    Kind {
        name: "doorbell",
        make: |device| queue(device, |offsets| offsets.doorbell, PAGE),
    },
    Kind {
        name: "status",
        make: |device| queue(device, |offsets| offsets.status, PAGE),
    },
    Kind {
        name: "submission-ring",
        make: |device| queue(device, |offsets| offsets.submission_ring, 256 * 64),
    },
    Kind {
        name: "completion-ring",
        make: |device| queue(device, |offsets| offsets.completion_ring, 256 * 16),
    },
    Kind {
        name: "dma-buffer",
        make: |device| {
            let buffer = device.create_buffer(4 * PAGE, Rights::ReadWrite).unwrap();
            (buffer.offset(), 4 * PAGE)
        },
    },
    Kind {
        name: "device-memory/write-combining",
        make: |device| device_memory(device, Part::WriteCombining),
    },
    Kind {
        name: "device-memory/uncached",
        make: |device| device_memory(device, Part::Uncached),
    },
    Kind {
        name: "lazy-device-memory",
        make: |device| device_memory(device, Part::Lazy),
    },
    Kind {
        name: "contiguous/cached",
        make: |device| memory(device, MemoryKind::Contiguous(Policy::Cached)),
    },
    Kind {
        name: "contiguous/write-combining",
        make: |device| memory(device, MemoryKind::Contiguous(Policy::WriteCombining)),
    },
    Kind {
        name: "contiguous/uncached",
        make: |device| memory(device, MemoryKind::Contiguous(Policy::Uncached)),
    },
    Kind {
        name: "vmalloc",
        make: |device| memory(device, MemoryKind::Vmalloc),
    },
];

fn queue(device: &Device, offset: fn(QueueOffsets) -> u64, size: usize) -> (u64, usize) {
    let queue = device.start_queue(256).unwrap();
    (offset(QueueOffsets::from(&queue)), size)
}

fn device_memory(device: &Device, part: Part) -> (u64, usize) {
    let memory = device
        .create_device_memory(part, 4 * PAGE, Rights::ReadWrite)
        .unwrap();
    (memory.offset(), 4 * PAGE)
}

fn memory(device: &Device, memory: MemoryKind) -> (u64, usize) {
    let memory = device.create_memory(memory, 4 * PAGE).unwrap();
    (memory.offset(), 4 * PAGE)
}
