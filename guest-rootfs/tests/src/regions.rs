// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Regions of memory that a process asks for, of any size.

use ringbar_client::{Device, MemoryKind, Part, Policy, Rights};

/// Makes a region of so many bytes with a device's file. Returns its mmap offset.
pub type Make = fn(&Device, usize) -> u64;

/// The kinds, by their names in the driver's README.
pub const OF_ANY_SIZE: [(&str, Make); 8] = [
    ("dma-buffer", |device, size| {
        let buffer = device.create_buffer(size, Rights::ReadWrite);
        buffer.expect("there is memory").offset()
    }),
    ("device-memory/write-combining", |device, size| {
        device_memory(device, Part::WriteCombining, size)
    }),
    ("device-memory/uncached", |device, size| {
        device_memory(device, Part::Uncached, size)
    }),
    ("lazy-device-memory", |device, size| {
        device_memory(device, Part::Lazy, size)
    }),
    ("contiguous/cached", |device, size| {
        memory(device, MemoryKind::Contiguous(Policy::Cached), size)
    }),
    ("contiguous/write-combining", |device, size| {
        memory(device, MemoryKind::Contiguous(Policy::WriteCombining), size)
    }),
    ("contiguous/uncached", |device, size| {
        memory(device, MemoryKind::Contiguous(Policy::Uncached), size)
    }),
    ("vmalloc", |device, size| {
        memory(device, MemoryKind::Vmalloc, size)
    }),
];

fn device_memory(device: &Device, part: Part, size: usize) -> u64 {
    let memory = device.create_device_memory(part, size, Rights::ReadWrite);
    memory.expect("there is device memory").offset()
}

fn memory(device: &Device, kind: MemoryKind, size: usize) -> u64 {
    let memory = device.create_memory(kind, size);
    memory.expect("there is memory").offset()
}
