// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Advice about mappings (`madvise`): which ones a child gets, and which ones a core file.

use ringbar_client::{Device, MemoryKind, Part, Policy, Rights};
use ringbar_tests::debugfs::RINGBAR;
use ringbar_tests::raw::{RawMapping, READ_WRITE};
use ringbar_tests::{case, child, fork, open, page_size};
use ringbar_uapi::mmap::PUBLIC_REGISTERS;
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags};
use std::os::unix::process::ExitStatusExt;

/// A mapping, and the name of its kind.
type Named = (&'static str, RawMapping);

fn map(device: &Device, name: &'static str, offset: u64, protection: ProtFlags) -> Named {
    let mapped = RawMapping::new(
        device.file(),
        offset,
        page_size(),
        protection,
        MapFlags::SHARED,
    );
    (
        name,
        mapped.unwrap_or_else(|errno| panic!("{name}: {errno}")),
    )
}

/// Maps a page of memory of each type that a forked child gets.
fn inherited(device: &Device) -> [Named; 6] {
    let memory = |kind| device.create_memory(kind, page_size()).unwrap().offset();
    let range = |part| {
        let range = device.create_device_memory(part, page_size(), Rights::ReadWrite);
        range.unwrap().offset()
    };
    let buffer = device
        .create_buffer(page_size(), Rights::ReadWrite)
        .unwrap();
    [
        ("buffer", buffer.offset()),
        ("contiguous", memory(MemoryKind::Contiguous(Policy::Cached))),
        ("vmalloc", memory(MemoryKind::Vmalloc)),
        ("device memory", range(Part::WriteCombining)),
        ("uncached device memory", range(Part::Uncached)),
        ("lazy device memory", range(Part::Lazy)),
    ]
    .map(|(name, offset)| map(device, name, offset, READ_WRITE))
}

/// Maps the rings and pages of a queue, which a forked child does not get.
fn withheld(device: &Device) -> [Named; 6] {
    let queue = device.start_queue(4).unwrap();
    [
        ("submission ring", queue.submission_ring),
        ("completion ring", queue.completion_ring),
        ("kick", queue.kick),
        ("doorbell", queue.doorbell),
        ("status", queue.status),
        ("public registers", PUBLIC_REGISTERS),
    ]
    .map(|(name, offset)| map(device, name, offset, ProtFlags::READ))
}

/// Returns the signal that ends a child that touches a mapping of its parent.
fn touched_in_a_child(mapping: &RawMapping) -> Option<i32> {
    let status = child::run(|| {
        mapping.read(0);
    });
    assert!(
        status.success() || status.signal().is_some(),
        "the child neither touches the page nor dies: {status}"
    );
    status.signal()
}

#[case]
fn child_lacks_a_mapping_that_its_parent_keeps_back() {
    let device = open();
    for (name, mapping) in inherited(&device) {
        assert_eq!(touched_in_a_child(&mapping), None, "{name}");
        mapping.advise(Advice::LinuxDontFork).expect(name);
        let count = RINGBAR.count();
        assert_eq!(
            touched_in_a_child(&mapping),
            Some(fork::SIGSEGV),
            "{name} after the advice"
        );
        assert_eq!(RINGBAR.count(), count, "{name}");
        mapping.write(0, 1);
        assert_eq!(mapping.read(0), 1, "{name} of the parent");
    }
}

#[case]
fn advice_cannot_give_a_child_what_it_does_not_get() {
    let device = open();
    let kept_back = inherited(&device);
    for (name, mapping) in &kept_back {
        mapping.advise(Advice::LinuxDontFork).expect(name);
    }
    for (name, mapping) in withheld(&device).iter().chain(&kept_back) {
        let advised = mapping.advise(Advice::LinuxDoFork);
        assert_eq!(advised, Err(Errno::INVAL), "{name}");
        assert_eq!(touched_in_a_child(mapping), Some(fork::SIGSEGV), "{name}");
    }
}

#[case]
fn advice_cannot_put_a_mapping_into_a_core_file() {
    let device = open();
    for (name, mapping) in withheld(&device).iter().chain(&inherited(&device)) {
        let advised = mapping.advise(Advice::LinuxDoDump);
        assert_eq!(advised, Err(Errno::INVAL), "{name}");
    }
}
