// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The kernel's selftest `mm/pfnmap` judges mappings of each kind that can have two pages.
//!
//! It opens a file by name and maps its first two pages. A shim that is linked to it
//! (`guest-driver/selftests/open_made.c`) has it use an open file and a region of that one.

use ringbar_client::{Device, QueueOffsets};
use ringbar_tests::regions::OF_ANY_SIZE;
use ringbar_tests::selftest::{machine, Selftest};
use ringbar_tests::{open, run_all, Case, Skip};
use rustix::io::{fcntl_setfd, FdFlags};
use std::os::fd::AsRawFd;
use std::process::ExitCode;

/// Size of each region: two pages of any kernel.
const SIZE: usize = 2 * (64 << 10);
/// Entries of a ring. Those of completions have 16 bytes: two pages of a kernel on x86.
const ENTRIES: u32 = (64 << 10) / 16;

/// A ring of a queue.
type Ring = fn(&QueueOffsets) -> u64;

/// The kinds whose size is that of a ring, by their names in the driver's README.
const RINGS: [(&str, Ring); 2] = [
    ("submission-ring", |queue| queue.submission_ring),
    ("completion-ring", |queue| queue.completion_ring),
];

fn ring(device: &Device, ring: Ring) -> u64 {
    let queue = device.start_queue(ENTRIES).expect("a queue is free");
    ring(&QueueOffsets::from(&queue))
}

fn main() -> ExitCode {
    let machine = machine();
    // The regions live as long as these.
    let mut devices = Vec::new();
    let mut cases = Vec::new();
    let rings = RINGS.map(|(kind, of)| {
        let device = open();
        let offset = ring(&device, of);
        (kind, device, offset)
    });
    let others = OF_ANY_SIZE.map(|(kind, make)| {
        let device = open();
        let offset = make(&device, SIZE);
        (kind, device, offset)
    });
    for (kind, device, offset) in rings.into_iter().chain(others) {
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
