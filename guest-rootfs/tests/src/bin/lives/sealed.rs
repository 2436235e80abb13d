// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Sealed mappings (`mseal`), which a process keeps to its end. So a child makes them.

use crate::all_is_freed;
use crate::link::Link;
use ringbar_client::{Device, Rights};
use ringbar_tests::raw::{can_seal, RawMapping};
use ringbar_tests::{case, child, fork, open, page_size, Case, PciFunction, Skip};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use std::os::unix::process::ExitStatusExt;

/// Makes a case that needs `mseal`.
fn sealing(name: &'static str, body: fn()) -> Case {
    Case::new(name, move || {
        if !can_seal() {
            return Err(Skip("this kernel has no mseal".into()));
        }
        body();
        all_is_freed();
        Ok(())
    })
}

/// Maps a page of the file, touches it and seals it.
fn seal(device: &Device, offset: u64) -> RawMapping {
    let (read, shared) = (ProtFlags::READ, MapFlags::SHARED);
    let mapping = RawMapping::new(device.file(), offset, page_size(), read, shared).unwrap();
    mapping.read(0);
    mapping.seal().unwrap();
    mapping
}

/// Runs `body` in a child, and fails unless it ends with SIGBUS.
#[track_caller]
fn ends_with_sigbus(body: impl FnOnce()) {
    let status = child::run(body);
    assert_eq!(status.signal(), Some(fork::SIGBUS), "{status}");
}

#[case(sealing)]
fn sealed_mapping_stays_as_it_is() {
    let status = child::run(|| {
        let device = open();
        let buffer = device.create_buffer(page_size(), Rights::Read).unwrap();
        let mut mapping = seal(&device, buffer.offset());
        assert_eq!(mapping.unmap(), Err(Errno::PERM));
        assert_eq!(mapping.move_away(), Err(Errno::PERM));
        let protected = mapping.protect(MprotectFlags::empty());
        assert_eq!(protected, Err(Errno::PERM));
        mapping.read(0);
    });
    assert!(status.success(), "{status}");
}

#[case(sealing)]
fn sealed_mapping_of_a_destroyed_buffer_raises_sigbus() {
    ends_with_sigbus(|| {
        let device = open();
        let buffer = device.create_buffer(page_size(), Rights::Read).unwrap();
        let mapping = seal(&device, buffer.offset());
        buffer.close().unwrap();
        mapping.read(0);
    });
}

#[case(sealing)]
fn sealed_pages_of_a_destroyed_queue_raise_sigbus_although_another_has_its_number() {
    for of in [0, 1] {
        ends_with_sigbus(|| {
            let device = open();
            let queue = device.start_queue(4).unwrap();
            let offset = [queue.status, queue.completion_ring][of];
            let mapping = seal(&device, offset);
            device.reset_queue(queue.queue).unwrap();
            mapping.read(0);
            device.destroy_queue(queue.queue).unwrap();
            let next = device.start_queue(4).unwrap();
            assert_eq!(next.queue, queue.queue, "the lowest number is taken first");
            mapping.read(0);
        });
    }
}

#[case(sealing)]
fn sealed_mapping_raises_sigbus_when_the_driver_has_left_the_device() {
    let function = PciFunction::under_test();
    let (us, link) = Link::pair();
    let child = fork::start(|| {
        let device = open();
        let queue = device.start_queue(4).unwrap();
        let mapping = seal(&device, queue.status);
        link.tell();
        link.hear();
        mapping.read(0);
        true
    });
    us.hear();
    let unbound = function.unbind();
    us.tell();
    let status = child.end();
    drop(unbound);
    assert_eq!(status.signal(), Some(fork::SIGBUS), "{status}");
}
