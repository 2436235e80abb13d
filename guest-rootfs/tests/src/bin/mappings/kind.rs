// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Makes a region of each kind. A region lives until its file is closed.

use crate::table;
use ringbar_client::{Device, MemoryKind, Part, Policy, QueueOffsets, Rights};
use ringbar_tests::rules::{Driver, Kind, Region};
use ringbar_tests::{open, page_size, NODE};
use ringbar_uapi::mmap::PUBLIC_REGISTERS;
use rustix::io::Errno;
use std::rc::Rc;
use std::sync::Arc;

/// Makes a region with a device's file. Returns its mmap offset and size.
type Make = fn(&Device) -> (u64, usize);

/// Returns the driver with its kinds, as the driver's README describes them.
pub(crate) fn driver() -> Driver {
    Driver {
        module: "ringbar",
        node: NODE,
        kinds: KINDS.iter().map(|(name, make)| kind(name, *make)).collect(),
    }
}

fn kind(name: &'static str, make: Make) -> Kind {
    let row = table::row(name);
    let is_public = name == "public-registers";
    Kind {
        name,
        make: Rc::new(move |read_only| region(make, read_only)),
        flags: row.flags,
        policy: shown(row.policy),
        writable: row.writable,
        inherited: row.inherited,
        debugger: row.debugger,
        // BAR 0 continues behind the public registers, with pages that are only the driver's.
        behind: match is_public {
            true => Errno::PERM,
            false => Errno::OVERFLOW,
        },
        for_everybody: !is_public,
    }
}

/// Returns the name that debugfs shows. On x86 two policies have the same bits, and it shows the first.
fn shown(policy: &'static str) -> &'static str {
    match policy {
        "device" if cfg!(target_arch = "x86_64") => "uncached",
        other => other,
    }
}

fn region(make: Make, read_only: bool) -> Region {
    let device = match read_only {
        true => Device::open_read_only(NODE).expect("the node can be opened"),
        false => open(),
    };
    let (offset, size) = make(&device);
    Region {
        file: Arc::clone(device.file()),
        offset,
        size,
    }
}

/// The kinds, by their names in the table.
pub(crate) const KINDS: &[(&str, Make)] = &[
    ("public-registers", |_| (PUBLIC_REGISTERS, page_size())),
    ("kick", |device| {
        queue(device, |offsets| offsets.kick, page_size())
    }),
    ("doorbell", |device| {
        queue(device, |offsets| offsets.doorbell, page_size())
    }),
    ("status", |device| {
        queue(device, |offsets| offsets.status, page_size())
    }),
    ("submission-ring", |device| {
        queue(
            device,
            |offsets| offsets.submission_ring,
            whole_pages(256 * 64),
        )
    }),
    ("completion-ring", |device| {
        queue(
            device,
            |offsets| offsets.completion_ring,
            whole_pages(256 * 16),
        )
    }),
    ("dma-buffer", |device| {
        let buffer = device
            .create_buffer(4 * page_size(), Rights::ReadWrite)
            .unwrap();
        (buffer.offset(), 4 * page_size())
    }),
    ("device-memory/write-combining", |device| {
        device_memory(device, Part::WriteCombining)
    }),
    ("device-memory/uncached", |device| {
        device_memory(device, Part::Uncached)
    }),
    ("lazy-device-memory", |device| {
        device_memory(device, Part::Lazy)
    }),
    ("contiguous/cached", |device| {
        memory(device, MemoryKind::Contiguous(Policy::Cached))
    }),
    ("contiguous/write-combining", |device| {
        memory(device, MemoryKind::Contiguous(Policy::WriteCombining))
    }),
    ("contiguous/uncached", |device| {
        memory(device, MemoryKind::Contiguous(Policy::Uncached))
    }),
    ("vmalloc", |device| memory(device, MemoryKind::Vmalloc)),
];

/// Returns a size as the driver rounds it.
fn whole_pages(size: usize) -> usize {
    size.next_multiple_of(page_size())
}

fn queue(device: &Device, offset: fn(QueueOffsets) -> u64, size: usize) -> (u64, usize) {
    let queue = device.start_queue(256).unwrap();
    (offset(QueueOffsets::from(&queue)), size)
}

fn device_memory(device: &Device, part: Part) -> (u64, usize) {
    let memory = device
        .create_device_memory(part, 4 * page_size(), Rights::ReadWrite)
        .unwrap();
    (memory.offset(), 4 * page_size())
}

fn memory(device: &Device, memory: MemoryKind) -> (u64, usize) {
    let memory = device.create_memory(memory, 4 * page_size()).unwrap();
    (memory.offset(), 4 * page_size())
}
