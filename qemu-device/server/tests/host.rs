// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The memory on which the model works: guest memory and device memory together.

mod common;

use std::os::unix::fs::FileExt;

use common::memory_file;
use ringbar_endpoint::dma::Rights;
use ringbar_model::{Host, Place, Unreachable};
use ringbar_server::host::Memory;
use ringbar_vfio_user::device::DmaRange;

const PAGE: u64 = 4096;

/// Makes memory with a page of a guest at `PAGE`, which holds `content` at its start.
fn memory(content: &[u8]) -> Memory {
    let file = memory_file(PAGE);
    file.write_all_at(content, 0).unwrap();
    let mut memory = Memory::new(16384).unwrap();
    let range = DmaRange::new(PAGE, PAGE).unwrap();
    memory
        .dma
        .map(range, Rights::READ_WRITE, Some((file, 0)))
        .unwrap();
    memory
}

fn read(memory: &Memory, place: Place) -> [u8; 4] {
    let mut bytes = [0; 4];
    memory.read(place, &mut bytes).unwrap();
    bytes
}

#[test]
fn device_memory_is_copied_to_the_guest_and_back() {
    let memory = memory(b"0123456789");

    memory
        .copy(Place::Guest(PAGE), Place::DeviceMemory(100), 10)
        .unwrap();
    memory
        .copy(Place::DeviceMemory(103), Place::Guest(PAGE), 4)
        .unwrap();

    assert_eq!(&read(&memory, Place::Guest(PAGE)), b"3456");
}

#[test]
fn device_memory_is_copied_over_itself_as_memmove_does() {
    let memory = memory(&[]);
    memory.write(Place::DeviceMemory(0), b"abcdef").unwrap();

    memory
        .copy(Place::DeviceMemory(0), Place::DeviceMemory(2), 4)
        .unwrap();

    assert_eq!(&read(&memory, Place::DeviceMemory(2)), b"abcd");
}

#[test]
fn device_memory_is_not_left() {
    let memory = memory(b"guest");

    let result = memory.copy(Place::DeviceMemory(16380), Place::Guest(PAGE), 5);

    assert_eq!(result, Err(Unreachable));
    assert_eq!(&read(&memory, Place::Guest(PAGE)), b"gues");
}

#[test]
fn first_address_of_the_guest_that_cannot_be_reached_is_named() {
    let memory = memory(&[]);

    let gap = memory.unreachable(PAGE + 1, PAGE, true);

    assert_eq!(gap, Some(2 * PAGE));
}
