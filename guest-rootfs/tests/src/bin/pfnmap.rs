// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The kernel's selftest `mm/pfnmap` judges mappings of each kind that can have two pages.
//!
//! It opens a file by name and maps its first two pages. A shim that is linked to it
//! (`guest-driver/selftests/open_made.c`) has it use an open file and a region of that one.

use ringbar_client::{Device, MemoryKind, Part, Policy, QueueOffsets, Rights};
use ringbar_tests::selftest::{machine, Selftest};
use ringbar_tests::{open, run_all, Case, Skip};
use rustix::io::{fcntl_setfd, FdFlags};
use std::os::fd::AsRawFd;
use std::process::ExitCode;

/// Size of each region: two pages of any kernel.
const SIZE: usize = 2 * (64 << 10);
/// Entries of a ring. Those of completions have 16 bytes: two pages of a kernel on x86.
const ENTRIES: u32 = (64 << 10) / 16;

/// Makes a region with a device's file. Returns its mmap offset.
type Make = fn(&Device) -> u64;

/// The kinds, by their names in the driver's README.
const KINDS: [(&str, Make); 10] = [
    ("submission-ring", |device| queue(device).submission_ring),
    ("completion-ring", |device| queue(device).completion_ring),
    ("dma-buffer", |device| {
        let buffer = device.create_buffer(SIZE, Rights::ReadWrite);
        buffer.expect("there is memory").offset()
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

fn queue(device: &Device) -> QueueOffsets {
    let queue = device.start_queue(ENTRIES).expect("a queue is free");
    QueueOffsets::from(&queue)
}

fn device_memory(device: &Device, part: Part) -> u64 {
    let memory = device.create_device_memory(part, SIZE, Rights::ReadWrite);
    memory.expect("there is device memory").offset()
}

fn memory(device: &Device, kind: MemoryKind) -> u64 {
    let memory = device.create_memory(kind, SIZE);
    memory.expect("there is memory").offset()
}

fn main() -> ExitCode {
    let machine = machine();
    // The regions live as long as these.
    let mut devices = Vec::new();
    let mut cases = Vec::new();
    for (kind, make) in KINDS {
        let device = open();
        let offset = make(&device);
        let file = device.file();
        fcntl_setfd(file, FdFlags::empty()).expect("a child may inherit the file");
        let region = format!("{}:{offset}", file.as_raw_fd());
        match Selftest::find("pfnmap", vec!["--".to_owned(), region]) {
            Some(test) => cases.extend(test.cases(kind, &machine)),
            None => cases.push(Case::new(kind, || Err::<(), _>(Skip(MISSING.into())))),
        }
        devices.push(device);
    }
    run_all(cases)
}

/// Why a guest does not have the selftest.
const MISSING: &str = "this guest has no selftests: TESTS=pfnmap brings them";
