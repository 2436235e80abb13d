// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The memory on which the model works: guest memory and device memory together.

mod common;

use std::os::unix::fs::FileExt;

use common::memory_file;
use ringbar_endpoint::dma::{DmaMap, Rights};
use ringbar_model::{Host, Location, Unreachable};
use ringbar_server::events::Events;
use ringbar_server::host::{ModelHost, ServedMemory};
use ringbar_vfio_user::device::DmaRange;

const PAGE: u64 = 4096;

/// Device memory of 16 KiB, and a page of a guest at [`PAGE`].
struct Both {
    memory: ServedMemory,
    guest: DmaMap,
}

impl Both {
    /// Makes memory whose guest has `content` at the start of its page.
    fn new(content: &[u8]) -> Self {
        let file = memory_file(PAGE);
        file.write_all_at(content, 0).unwrap();
        let mut guest = DmaMap::new();
        let range = DmaRange::new(PAGE, PAGE).unwrap();
        guest
            .map(range, Rights::READ_WRITE, Some((file, 0)))
            .unwrap();
        let memory = ServedMemory::new(16384, Events::default()).unwrap();
        Self { memory, guest }
    }

    fn host(&self) -> ModelHost<'_> {
        self.memory.host_with(Some(&self.guest))
    }
}

fn read(host: &ModelHost<'_>, place: Location) -> [u8; 4] {
    let mut bytes = [0; 4];
    host.read(place, &mut bytes).unwrap();
    bytes
}

#[test]
fn device_memory_is_copied_to_the_guest_and_back() {
    let both = Both::new(b"0123456789");
    let host = both.host();

    host.copy(Location::Guest(PAGE), Location::DeviceMemory(100), 10)
        .unwrap();
    host.copy(Location::DeviceMemory(103), Location::Guest(PAGE), 4)
        .unwrap();

    assert_eq!(&read(&host, Location::Guest(PAGE)), b"3456");
}

#[test]
fn device_memory_is_copied_over_itself_as_memmove_does() {
    let both = Both::new(&[]);
    let host = both.host();
    host.write(Location::DeviceMemory(0), b"abcdef").unwrap();

    host.copy(Location::DeviceMemory(0), Location::DeviceMemory(2), 4)
        .unwrap();

    assert_eq!(&read(&host, Location::DeviceMemory(2)), b"abcd");
}

#[test]
fn device_memory_is_not_left() {
    let both = Both::new(b"guest");
    let host = both.host();

    let result = host.copy(Location::DeviceMemory(16380), Location::Guest(PAGE), 5);

    assert_eq!(result, Err(Unreachable));
    assert_eq!(&read(&host, Location::Guest(PAGE)), b"gues");
}

#[test]
fn first_address_of_the_guest_that_cannot_be_reached_is_named() {
    let both = Both::new(&[]);
    let host = both.host();

    let gap = host.unreachable(PAGE + 1, PAGE, true);

    assert_eq!(gap, Some(2 * PAGE));
}

#[test]
fn guest_is_not_reached_while_bus_mastering_is_off() {
    let both = Both::new(b"guest");
    let host = both.memory.host_with(None);

    assert_eq!(host.read(Location::Guest(PAGE), &mut [0]), Err(Unreachable));
    assert_eq!(host.write(Location::Guest(PAGE), b"x"), Err(Unreachable));
    let copied = host.copy(Location::Guest(PAGE), Location::DeviceMemory(0), 1);
    assert_eq!(copied, Err(Unreachable));
    assert_eq!(host.unreachable(PAGE, 1, false), Some(PAGE));
}
