// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Refused windows.

use crate::{fill, refused};
use ringbar_client::{Part, Rights};
use ringbar_tests::{case, open, page_size, succeed};
use ringbar_uapi::ioctl::WindowPart;
use rustix::io::Errno;

#[case]
fn rights_that_a_buffer_lacks_are_refused() {
    let device = open();
    let memory = |rights| device.create_device_memory(Part::Uncached, page_size(), rights);
    for (given, wanted) in [
        (Rights::Read, Rights::Write),
        (Rights::Read, Rights::ReadWrite),
        (Rights::Write, Rights::Read),
        (Rights::Write, Rights::ReadWrite),
    ] {
        let buffer = device.create_buffer(page_size(), given).unwrap();
        let full = device
            .create_buffer(page_size(), Rights::ReadWrite)
            .unwrap();
        let parts = [full.part(0..8), buffer.part(0..8)];
        refused(device.open_window(&parts, wanted), Errno::ACCESS);
        device.open_window(&parts, given).unwrap();
        let memory = memory(given).unwrap();
        let parts = [memory.part(0..8)];
        refused(device.open_window(&parts, wanted), Errno::ACCESS);
        device.open_window(&parts, given).unwrap();
    }
}

#[case]
fn part_that_leaves_its_buffer_is_refused() {
    let device = open();
    let buffer = device.create_buffer(page_size(), Rights::Read).unwrap();
    let memory = device
        .create_device_memory(Part::Lazy, page_size(), Rights::Read)
        .unwrap();
    let size = page_size() as u64;
    for (offset, length) in [
        (0, 0),
        (0, size + 1),
        (1, size),
        (size, 0),
        (size, 1),
        (size - 1, 2),
        (0, u64::MAX),
        (1, u64::MAX),
        (size, u64::MAX - size + 1),
        (u64::MAX, 1),
        (u64::MAX - 7, 16),
        (u64::MAX - size + 1, size),
        (1 << 63, 1 << 63),
    ] {
        for own in [buffer.window(), memory.window()] {
            let bad = WindowPart {
                buffer: own.into(),
                offset,
                length,
                ..Default::default()
            };
            refused(device.open_window(&[bad], Rights::Read), Errno::INVAL);
            let good = buffer.part(0..1);
            refused(device.open_window(&[good, bad], Rights::Read), Errno::INVAL);
        }
    }
    let whole = [buffer.part(0..size)];
    device.open_window(&whole, Rights::Read).unwrap();
}

#[case]
fn device_memory_cannot_be_mixed_with_other_parts() {
    let device = open();
    let buffer = device.create_buffer(page_size(), Rights::Read).unwrap();
    let memory = device
        .create_device_memory(Part::WriteCombining, page_size(), Rights::Read)
        .unwrap();
    for parts in [
        [memory.part(0..8), memory.part(8..16)],
        [memory.part(0..8), buffer.part(0..8)],
        [buffer.part(0..8), memory.part(0..8)],
    ] {
        refused(device.open_window(&parts, Rights::Read), Errno::INVAL);
    }
}

#[case]
fn part_of_anything_but_an_own_buffer_is_refused() {
    let device = open();
    let other = open();
    let foreign = other.create_buffer(page_size(), Rights::Read).unwrap();
    let foreign_memory = other
        .create_device_memory(Part::Uncached, page_size(), Rights::Read)
        .unwrap();
    let own = device.create_buffer(page_size(), Rights::Read).unwrap();
    let view = device.open_window(&[own.part(0..8)], Rights::Read).unwrap();

    for number in [
        0,
        foreign.window().into(),
        foreign_memory.window().into(),
        view.number().into(),
        u32::from(u16::MAX),
        // The low 16 bits are the number of a buffer.
        1 << 16 | u32::from(own.window()),
        u32::MAX,
    ] {
        let part = WindowPart {
            buffer: number,
            length: 8,
            ..Default::default()
        };
        refused(device.open_window(&[part], Rights::Read), Errno::NXIO);
        refused(
            device.open_window(&[own.part(0..8), part], Rights::Read),
            Errno::NXIO,
        );
        refused(device.destroy_buffer(number), Errno::NXIO);
    }
    refused(device.close_window(foreign.window().into()), Errno::NXIO);
    assert_eq!(foreign.mapping().read::<u8>(0), 0);
    other.destroy_buffer(foreign.window().into()).unwrap();
}

#[case]
fn only_an_opened_window_can_be_closed() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let buffer = device.create_buffer(page_size(), Rights::Write).unwrap();
    let number = u32::from(buffer.window());
    for number in [number, number | 1 << 16, 0, u32::MAX] {
        refused(device.close_window(number), Errno::NXIO);
    }
    succeed(&mut queue, fill(buffer.window(), 0, 8));
}
