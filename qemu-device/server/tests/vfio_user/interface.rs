// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device as described to the client, registers, and the memory that both map.

use std::sync::atomic::Ordering;

use ringbar_server::options::InterruptKind::{Msi, Msix};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::ids;
use ringbar_spec::layout::{
    DEVICE_MEMORY_SIZE, MAX_QUEUES, MSIX_BAR_SIZE, REGISTER_BAR_SIZE, REPORT_PAGE,
};
use ringbar_spec::regs::{Register, KICK_ANSWER};
use ringbar_spec::wake::Word;
use vm_memory::VolatileMemory;

use crate::guest::Guest;

#[test]
fn regions_are_two_bars_msix_page_and_config_space() {
    let guest = Guest::connect(Msix);
    let sizes: Vec<u64> = (0..9)
        .map(|index| guest.client.region(index).unwrap().size)
        .collect();

    assert_eq!(
        sizes,
        [
            REGISTER_BAR_SIZE as u64,
            0,
            DEVICE_MEMORY_SIZE as u64,
            0,
            MSIX_BAR_SIZE as u64,
            0,
            0,
            4096,
            0
        ]
    );
    assert!(guest.client.region(9).is_none());
}

#[test]
fn report_doorbell_and_status_pages_are_one_area_to_map_and_registers_are_none() {
    let guest = Guest::connect(Msix);
    let areas: Vec<(u64, u64)> = guest
        .client
        .region(0)
        .unwrap()
        .sparse_areas
        .iter()
        .map(|area| (area.offset, area.size))
        .collect();

    // One: some clients expect a file for each.
    assert_eq!(areas, [(REPORT_PAGE as u64, 0x81_0000)]);
}

#[test]
fn device_memory_is_mappable_as_a_whole() {
    let guest = Guest::connect(Msix);
    let areas = &guest.client.region(2).unwrap().sparse_areas;

    assert_eq!(areas.len(), 1);
    assert_eq!(
        (areas[0].offset, areas[0].size),
        (0, DEVICE_MEMORY_SIZE as u64)
    );
}

#[test]
fn interrupts_are_msix_only() {
    let mut guest = Guest::connect(Msix);

    let counts = [0, 1, 2].map(|index| guest.client.get_irq_info(index).unwrap().count);

    assert_eq!(counts, [0, 0, 9]);
}

#[test]
fn msi_option_offers_msi_only_and_no_msix_page() {
    let mut guest = Guest::connect(Msi);

    let counts = [0, 1, 2].map(|index| guest.client.get_irq_info(index).unwrap().count);

    assert_eq!(counts, [0, 16, 0]);
    assert_eq!(guest.client.region(4).unwrap().size, 0);
}

#[test]
fn configuration_space_shows_the_identity() {
    let mut guest = Guest::connect(Msix);

    assert_eq!(
        guest.read_config(0),
        u32::from(ids::DEVICE_ID) << 16 | u32::from(ids::VENDOR_ID)
    );
}

#[test]
fn registers_show_identity_and_version() {
    let mut guest = Guest::connect(Msix);

    assert_eq!(guest.get(Register::IDENT), u64::from(ids::IDENT));
    assert_eq!(
        guest.get(Register::VERSION),
        u64::from(ids::VERSION_MAJOR) << 16 | u64::from(ids::VERSION_MINOR)
    );
    assert_eq!(guest.get(Register::KICK), u64::from(KICK_ANSWER));
}

#[test]
fn scratch_register_keeps_its_value() {
    let mut guest = Guest::connect(Msix);

    guest.set(Register::SCRATCH, 0x0123_4567_89ab_cdef);

    assert_eq!(guest.get(Register::SCRATCH), 0x0123_4567_89ab_cdef);
}

#[test]
fn counter_runs() {
    let mut guest = Guest::connect(Msix);

    let first = guest.get(Register::COUNTER);
    let second = guest.get(Register::COUNTER);

    assert!(second > first);
}

#[test]
fn access_without_register_is_logged_in_the_device() {
    let mut guest = Guest::connect(Msix);

    guest.client.region_write(0, 0x0f00, &[1; 4]).unwrap();

    assert_eq!(
        guest.get(Register::ERROR_LAST),
        0xffff_0000 | u64::from(ErrorCode::RESERVED_REGISTER.0)
    );
    assert_eq!(guest.get(Register::ERROR_VALUE), 0x0f00);
}

#[test]
fn device_memory_is_the_same_trapped_and_mapped() {
    let mut guest = Guest::connect(Msix);
    let mut bytes = [0; 4];

    guest.client.region_write(2, 0x1001, b"trap").unwrap();
    guest
        .device_memory
        .get_slice(0x2001, 4)
        .unwrap()
        .copy_from(b"mmap");
    guest.client.region_read(2, 0x2001, &mut bytes).unwrap();

    assert_eq!(guest.peek_device(0x1001, 4), b"trap");
    assert_eq!(&bytes, b"mmap");
}

#[test]
fn shared_pages_are_the_same_trapped_and_mapped() {
    let mut guest = Guest::connect(Msix);

    let written = Word::SubmissionTail.offset(0);
    let read = Word::CompletionTail.offset(0);
    let mut bytes = [0; 4];

    guest
        .client
        .region_write(0, written as u64, &[1, 2, 3, 4])
        .unwrap();
    guest.word(read).store(0x0807_0605, Ordering::SeqCst);
    guest
        .client
        .region_read(0, read as u64, &mut bytes)
        .unwrap();

    assert_eq!(guest.word(written).load(Ordering::SeqCst), 0x0403_0201);
    assert_eq!(bytes, [5, 6, 7, 8]);
}

#[test]
fn eventfds_of_all_vectors_come_with_one_message() {
    let mut guest = Guest::connect_with(Msix, |options| options.queues = MAX_QUEUES as u16);

    guest.connect_interrupts_at_once();

    // One for each queue, and one for errors.
    for vector in 0..=MAX_QUEUES {
        guest.raise(vector as u32);
        assert_eq!(guest.wait_interrupt(vector), 1, "{vector}");
    }
}
