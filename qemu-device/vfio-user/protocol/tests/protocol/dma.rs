// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory of the client.

use ringbar_vfio_user::device::DmaRange;
use ringbar_vfio_user::testing::{dma_map, dma_unmap, Call, TestSession};
use ringbar_vfio_user::wire::{
    Header, DMA_MAP_FLAG_FILE_IO, DMA_MAP_FLAG_MMAP, FLAG_NO_REPLY, MAX_DMA_MAPS,
};
use ringbar_vfio_user::Errno;

use crate::{lengthened, outcome, outcome_of, patched, reason, reply, shortened};

const READ: u32 = 1;
const READ_WRITE: u32 = 3;
const ALL: u32 = 2;
const PAGE: u64 = 0x1000;

fn range(first: u64, last: u64) -> DmaRange {
    DmaRange { first, last }
}

/// Makes a client with mappings of one page each.
fn mapped(pages: &[u64]) -> TestSession {
    let mut test = TestSession::negotiated();
    for page in pages {
        let map = dma_map(READ_WRITE, 0, page * PAGE, PAGE);
        assert_eq!(outcome_of(&mut test, &map, 1), None);
    }
    test.device.calls.clear();
    test
}

#[test]
fn map_with_a_file_reaches_the_device() {
    let mut test = TestSession::negotiated();

    test.send(&dma_map(READ_WRITE, 0x5000, 0x10_0000, 0x2000), 1)
        .unwrap();

    let call = Call::Map(range(0x10_0000, 0x10_1fff), true, true, Some((0, 0x5000)));
    assert_eq!(test.device.calls, [call]);
}

#[test]
fn map_without_a_file_reaches_the_device() {
    let mut test = TestSession::negotiated();

    test.send(&dma_map(READ, 0, 0, PAGE), 0).unwrap();

    let call = Call::Map(range(0, 0xfff), true, false, None);
    assert_eq!(test.device.calls, [call]);
}

#[test]
fn reply_to_map_has_no_payload() {
    let (payload, _) = reply(&mut TestSession::negotiated(), &dma_map(READ, 0, 0, PAGE));

    assert!(payload.is_empty());
}

#[test]
fn map_may_end_at_the_end_of_the_address_space() {
    assert_eq!(
        outcome(&dma_map(READ, 0, PAGE.wrapping_neg(), PAGE), 1),
        None
    );
}

#[test]
fn map_beyond_the_end_of_the_address_space_is_refused() {
    let map = dma_map(READ, 0, PAGE.wrapping_neg(), 2 * PAGE);

    assert_eq!(outcome(&map, 1), Some(Errno::INVAL));
}

#[test]
fn map_of_nothing_is_refused() {
    assert_eq!(outcome(&dma_map(READ, 0, PAGE, 0), 1), Some(Errno::INVAL));
}

#[test]
fn map_of_parts_of_pages_is_refused() {
    for (offset, address, size) in [(0, 0x800, PAGE), (0, PAGE, 0x1800), (0x800, PAGE, PAGE)] {
        let map = dma_map(READ, offset, address, size);
        assert_eq!(outcome(&map, 1), Some(Errno::INVAL));
    }
}

#[test]
fn map_of_a_file_beyond_2_to_the_63_is_refused() {
    for offset in [1 << 63, (1 << 63) - PAGE, PAGE.wrapping_neg()] {
        let map = dma_map(READ, offset, 0, 2 * PAGE);
        assert_eq!(outcome(&map, 1), Some(Errno::INVAL), "{offset:#x}");
    }
}

#[test]
fn map_without_rights_is_refused() {
    assert_eq!(outcome(&dma_map(0, 0, 0, PAGE), 1), Some(Errno::INVAL));
}

#[test]
fn map_with_unknown_flags_is_refused() {
    for bit in 4..32 {
        let map = dma_map(READ | 1 << bit, 0, 0, PAGE);
        assert_eq!(outcome(&map, 1), Some(Errno::INVAL), "{bit}");
    }
}

#[test]
fn map_that_asks_for_mmap_needs_a_file() {
    let map = dma_map(READ | DMA_MAP_FLAG_MMAP, 0, 0, PAGE);

    assert_eq!(outcome(&map, 1), None);
    assert_eq!(outcome(&map, 0), Some(Errno::INVAL));
}

#[test]
fn map_that_allows_only_file_access_is_not_supported() {
    let map = dma_map(READ | DMA_MAP_FLAG_FILE_IO, 0, 0, PAGE);

    assert_eq!(outcome(&map, 1), Some(Errno::NOTSUP));
}

#[test]
fn map_with_a_short_payload_is_refused() {
    let map = dma_map(READ, 0, 0, PAGE);

    assert_eq!(outcome(&shortened(&map), 1), Some(Errno::INVAL));
    assert_eq!(outcome(&lengthened(&map), 1), None);
}

#[test]
fn map_with_a_small_argsz_is_refused() {
    let map = dma_map(READ, 0, 0, PAGE);

    assert_eq!(outcome(&patched(&map, 0, 31), 1), Some(Errno::INVAL));
    assert_eq!(outcome(&patched(&map, 0, 33), 1), None);
}

#[test]
fn map_with_two_files_is_refused() {
    assert_eq!(outcome(&dma_map(READ, 0, 0, PAGE), 2), Some(Errno::INVAL));
}

#[test]
fn map_over_a_mapping_is_refused_as_existing() {
    let mut test = mapped(&[16, 17]);

    for (page, pages) in [(16, 1), (15, 2), (17, 2), (15, 4), (0, 32)] {
        let map = dma_map(READ, 0, page * PAGE, pages * PAGE);
        assert_eq!(outcome_of(&mut test, &map, 1), Some(Errno::EXIST));
    }
    assert_eq!(test.device.calls, []);
}

#[test]
fn map_beside_a_mapping_is_allowed() {
    let mut test = mapped(&[16]);

    for page in [15, 17] {
        let map = dma_map(READ, 0, page * PAGE, PAGE);
        assert_eq!(outcome_of(&mut test, &map, 1), None);
    }
}

#[test]
fn map_that_the_device_refuses_can_be_tried_again() {
    let mut test = TestSession::negotiated();
    let map = dma_map(READ, 0, 0, PAGE);
    test.device.refuse = Some(Errno::NOMEM);
    assert_eq!(outcome_of(&mut test, &map, 1), Some(Errno::NOMEM));
    test.device.refuse = None;

    assert_eq!(outcome_of(&mut test, &map, 1), None);
}

#[test]
#[cfg_attr(miri, ignore = "65536 messages take Miri an hour")]
fn one_map_more_than_the_limit_is_refused() {
    let mut test = TestSession::negotiated();
    let send = |test: &mut TestSession, page: usize| {
        let map = dma_map(READ, 0, page as u64 * PAGE, PAGE);
        outcome_of(test, &map, 0)
    };
    for page in 0..MAX_DMA_MAPS {
        assert_eq!(send(&mut test, page), None);
    }

    assert_eq!(send(&mut test, MAX_DMA_MAPS), Some(Errno::NOSPC));
    // The log has the range and the limit.
    let text = reason(&test);
    assert!(
        text.contains("0xffff000") && text.contains("65535 mappings"),
        "{text}"
    );
}

#[test]
fn unmap_is_answered_with_its_entry() {
    let mut test = mapped(&[16]);
    let unmap = dma_unmap(0, 16 * PAGE, PAGE);

    let (payload, _) = reply(&mut test, &unmap);

    assert_eq!(payload, unmap[16..]);
    assert_eq!(test.device.calls, [Call::Unmap(range(0x1_0000, 0x1_0fff))]);
}

#[test]
fn unmapped_memory_can_be_mapped_again() {
    let mut test = mapped(&[16]);
    let live = test.bank.live();
    assert_eq!(
        outcome_of(&mut test, &dma_unmap(0, 16 * PAGE, PAGE), 0),
        None
    );
    assert_eq!(test.bank.live(), live - 1);

    let map = dma_map(READ, 0, 16 * PAGE, PAGE);

    assert_eq!(outcome_of(&mut test, &map, 1), None);
}

#[test]
fn big_unmap_drops_every_mapping_inside() {
    let mut test = mapped(&[1, 5, 9, 20]);

    let unmap = dma_unmap(0, PAGE, 15 * PAGE);

    assert_eq!(outcome_of(&mut test, &unmap, 0), None);
    assert_eq!(test.device.mappings(), 1);
    assert_eq!(test.device.calls, [Call::Unmap(range(PAGE, 16 * PAGE - 1))]);
}

#[test]
fn unmap_of_nothing_mapped_is_allowed() {
    assert_eq!(outcome(&dma_unmap(0, 0, PAGE), 0), None);
}

#[test]
fn unmap_that_would_split_a_mapping_is_refused_and_removes_nothing() {
    let mut test = mapped(&[1]);
    let map = dma_map(READ, 0, 16 * PAGE, 4 * PAGE);
    assert_eq!(outcome_of(&mut test, &map, 1), None);
    test.device.calls.clear();

    for (page, pages) in [(0, 17), (16, 3), (17, 1), (17, 3), (17, 100), (0, 19)] {
        let unmap = dma_unmap(0, page * PAGE, pages * PAGE);
        assert_eq!(outcome_of(&mut test, &unmap, 0), Some(Errno::INVAL));
    }
    assert_eq!(test.device.mappings(), 2);
    assert_eq!(test.device.calls, []);
}

#[test]
fn unmap_may_pass_the_end_of_the_address_space() {
    let top = PAGE.wrapping_neg();
    let mut test = mapped(&[top / PAGE]);

    let unmap = dma_unmap(0, 16 * PAGE, top);

    assert_eq!(outcome_of(&mut test, &unmap, 0), None);
    assert_eq!(test.device.mappings(), 0);
}

#[test]
fn unmap_all_drops_every_mapping() {
    let mut test = mapped(&[0, 16, PAGE.wrapping_neg() / PAGE]);

    assert_eq!(outcome_of(&mut test, &dma_unmap(ALL, 0, 0), 0), None);
    assert_eq!(test.device.mappings(), 0);
    assert_eq!(test.device.calls, [Call::Unmap(DmaRange::ALL)]);
}

#[test]
fn unmap_all_of_a_range_is_refused() {
    let mut test = mapped(&[16]);

    for (address, size) in [(PAGE, 0), (0, PAGE), (0, u64::MAX)] {
        let unmap = dma_unmap(ALL, address, size);
        assert_eq!(outcome_of(&mut test, &unmap, 0), Some(Errno::INVAL));
    }
    assert_eq!(test.device.mappings(), 1);
}

#[test]
fn unmap_with_other_flags_is_refused() {
    for flags in [1, 3, 4, 1 << 31] {
        assert_eq!(outcome(&dma_unmap(flags, 0, 0), 0), Some(Errno::INVAL));
    }
}

#[test]
fn unmap_of_no_or_parts_of_pages_is_refused() {
    for (address, size) in [(0, 0), (0x800, PAGE), (0, 0x800)] {
        let unmap = dma_unmap(0, address, size);
        assert_eq!(outcome(&unmap, 0), Some(Errno::INVAL));
    }
}

#[test]
fn unmap_with_a_short_payload_or_a_small_argsz_is_refused() {
    let unmap = dma_unmap(0, 0, PAGE);

    assert_eq!(outcome(&shortened(&unmap), 0), Some(Errno::INVAL));
    assert_eq!(outcome(&patched(&unmap, 0, 23), 0), Some(Errno::INVAL));
}

#[test]
fn refused_map_names_both_ranges() {
    let mut test = mapped(&[16]);

    outcome_of(&mut test, &dma_map(READ, 0, 15 * PAGE, 2 * PAGE), 0);

    let expected =
        "DMA addresses 0xf000 to 0x10fff overlap the mapping 0x10000 to 0x10fff: unmap it first";
    assert_eq!(reason(&test), expected);
}

#[test]
fn unmap_with_the_file_of_the_mapping_is_carried_out_and_closes_it() {
    let mut test = mapped(&[16]);
    let live = test.bank.live();
    let unmap = dma_unmap(0, 16 * PAGE, PAGE);

    assert_eq!(outcome_of(&mut test, &unmap, 1), None);

    assert_eq!(test.device.mappings(), 0);
    // Nor the one that the mapping had.
    assert_eq!(test.bank.live(), live - 1);
}

#[test]
fn unmap_with_two_files_is_refused() {
    assert_eq!(outcome(&dma_unmap(0, 0, PAGE), 2), Some(Errno::INVAL));
}

#[test]
fn unmap_that_the_device_refuses_keeps_the_mapping() {
    let mut test = mapped(&[16]);
    test.device.refuse = Some(Errno::BUSY);

    let unmap = dma_unmap(0, 16 * PAGE, PAGE);

    assert_eq!(outcome_of(&mut test, &unmap, 0), Some(Errno::BUSY));
    assert_eq!(test.device.mappings(), 1);
}

#[test]
fn map_and_unmap_without_reply_are_carried_out_silently() {
    let mut test = TestSession::negotiated();
    for mut bytes in [dma_map(READ, 0, 0, PAGE), dma_unmap(0, 0, PAGE)] {
        bytes[8..12].copy_from_slice(&FLAG_NO_REPLY.to_ne_bytes());
        assert_eq!(Header::parse(&bytes).unwrap().flags, FLAG_NO_REPLY);
        test.send(&bytes, 0).unwrap();
    }

    assert_eq!(test.device.calls.len(), 2);
    assert_eq!(test.seen, []);
}
