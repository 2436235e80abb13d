// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Windows that are closed, and the memory that they show.

use crate::pieces::Pieces;
use crate::{ends_with, fill, refused, DEVICE_PARTS};
use ringbar_client::{Device, Mapping, Part, Rights};
use ringbar_spec::ring::Status;
use ringbar_tests::debugfs::RINGBAR;
use ringbar_tests::{case, fork, open, page_size, succeed};
use rustix::io::Errno;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;

#[case]
fn closed_window_is_a_bad_window() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let pieces = Pieces::new(&device);
    let window = pieces.open(&device, Rights::Write);
    let number = window.number();
    let again = pieces.open(&device, Rights::Write);

    window.close().unwrap();
    ends_with(&mut queue, fill(number, 0, 8), Status::BAD_WINDOW);
    pieces.check();
    refused(device.close_window(number.into()), Errno::NXIO);
    // The close leaves other windows on the same parts, and the windows of the buffers.
    succeed(&mut queue, fill(again.number(), 0, 8));
    succeed(&mut queue, fill(pieces.buffers[0].window(), 0, 8));
}

#[case]
fn destroyed_buffer_closes_its_windows_and_no_others() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let kept = device.create_buffer(page_size(), Rights::Write).unwrap();
    let buffer = device.create_buffer(page_size(), Rights::Write).unwrap();
    let alone = device.open_window(&[buffer.part(0..8)], Rights::Write);
    let both = device.open_window(&[kept.part(0..8), buffer.part(0..8)], Rights::Write);
    let other = device.open_window(&[kept.part(0..8)], Rights::Write);
    let [alone, both, other] = [alone, both, other].map(|window| window.unwrap().number());
    let own = buffer.window();

    buffer.close().unwrap();

    for gone in [own, alone, both] {
        ends_with(&mut queue, fill(gone, 0, 8), Status::BAD_WINDOW);
    }
    refused(device.close_window(both.into()), Errno::NXIO);
    assert_eq!(kept.mapping().read::<u64>(0), 0);
    succeed(&mut queue, fill(other, 0, 8));
    succeed(&mut queue, fill(kept.window(), 8, 8));
    assert_eq!(kept.mapping().read_bytes(0, 16), [0xff; 16]);
}

/// Fails unless a touch of the mapping now kills a process.
#[track_caller]
fn assert_gone(mapping: &Mapping) {
    let status = fork::run(|| {
        mapping.read::<u8>(0);
        true
    });
    assert_eq!(status.signal(), Some(fork::SIGBUS), "{status}");
}

/// Destroys the object behind `mapping` while this process and a child have mapped and touched it.
fn gone_everywhere(mapping: &Mapping, destroy: impl FnOnce()) {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    mapping.read::<u8>(0);
    let child = fork::start(|| {
        mapping.read::<u8>(0);
        (&theirs).write_all(b"touched").unwrap();
        (&theirs).read_exact(&mut [0]).unwrap();
        mapping.read::<u8>(0);
        true
    });
    // Otherwise the read below would wait forever for a child that ended too early.
    drop(theirs);
    ours.read_exact(&mut [0; 7]).unwrap();
    destroy();
    ours.write_all(b"!").unwrap();
    let status = child.end();
    assert_eq!(status.signal(), Some(fork::SIGBUS), "{status}");
    // A child forked now inherits this process's pages.
    assert_gone(mapping);
}

#[case]
fn mapping_of_a_destroyed_lazy_range_does_not_show_the_next_one() {
    let device = open();
    let make = || device.create_device_memory(Part::Lazy, page_size(), Rights::ReadWrite);
    let memory = make().unwrap();
    let (old, offset) = (map(&device, memory.offset()), memory.offset());
    old.read::<u8>(0);
    memory.close().unwrap();

    let next = make().unwrap();
    assert_eq!(next.offset(), offset, "the lowest number is taken first");

    assert_gone(&old);
    assert_eq!(map(&device, next.offset()).read::<u8>(0), 0);
}

#[case]
fn mapping_of_a_destroyed_buffer_raises_sigbus() {
    let device = open();
    let neighbours = [(); 2].map(|()| device.create_buffer(page_size(), Rights::Read).unwrap());
    let buffer = device.create_buffer(3 * page_size(), Rights::Read).unwrap();
    let part = map(&device, buffer.offset() + 2 * page_size() as u64);
    gone_everywhere(&part, || {
        assert_eq!(fork::run(|| part.read::<u8>(0) == 0).code(), Some(0));
        buffer.close().unwrap();
    });
    for neighbour in neighbours {
        assert_eq!(neighbour.mapping().read::<u8>(0), 0);
    }
}

#[case]
fn mapping_of_destroyed_device_memory_raises_sigbus() {
    for part in DEVICE_PARTS {
        let device = open();
        let neighbour = device
            .create_device_memory(part, page_size(), Rights::Read)
            .unwrap();
        let memory = device
            .create_device_memory(part, page_size(), Rights::Read)
            .unwrap();
        let mapping = map(&device, memory.offset());
        gone_everywhere(&mapping, || memory.close().unwrap());
        assert_eq!(neighbour.mapping().read::<u8>(0), 0);
    }
}

/// Maps one page of the device's file.
fn map(device: &Device, offset: u64) -> Mapping {
    Mapping::new(device.file().clone(), offset, page_size(), true).unwrap()
}

#[case]
fn destroyed_buffer_cannot_be_mapped_or_destroyed_again() {
    let device = open();
    let buffer = device.create_buffer(page_size(), Rights::Read).unwrap();
    let (window, offset, part) = (buffer.window(), buffer.offset(), buffer.part(0..8));
    buffer.close().unwrap();
    let mapped = Mapping::new(device.file().clone(), offset, page_size(), true);
    refused(mapped, Errno::PERM);
    refused(device.destroy_buffer(window.into()), Errno::NXIO);
    refused(device.open_window(&[part], Rights::Read), Errno::NXIO);
}

#[case]
fn buffers_and_windows_can_be_made_and_destroyed_without_end() {
    let device = open();
    // More often than the device has windows.
    let before = RINGBAR.usage();
    for _ in 0..2000 {
        let buffer = device
            .create_buffer(page_size(), Rights::ReadWrite)
            .unwrap();
        let window = device.open_window(&[buffer.part(1..9)], Rights::Read);
        window.unwrap().close().unwrap();
        device
            .open_window(&[buffer.part(1..9)], Rights::Write)
            .unwrap();
        buffer.close().unwrap();
    }
    assert_eq!(RINGBAR.usage(), before);
}
