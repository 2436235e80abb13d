// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Mapping, unmapping and reaching guest memory by DMA address.

mod common;

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};

use common::{content, range, sealed, PAGE, READ_ONLY};
use proptest::prelude::*;
use ringbar_endpoint::dma::{Access, DmaMap, Rights, Unreachable};
use ringbar_endpoint::memory::SharedMemory;
use ringbar_endpoint::Error;
use ringbar_vfio_user::device::DmaRange;
use ringbar_vfio_user::ranges::RangeFault;
use ringbar_vfio_user::wire::MAX_DMA_MAPS;
use rustix::fs::ftruncate;
use vm_memory::VolatileSlice;

/// Makes a map with the pages of a file at the given page numbers, in the order of the file.
fn map_of_pages(pages: &[u64]) -> (DmaMap, File) {
    let file = sealed(pages.len() as u64 * PAGE);
    let mut dma = DmaMap::new();
    for (number, page) in (0..).zip(pages) {
        map_file(&mut dma, page * PAGE, &file, number * PAGE).unwrap();
    }
    (dma, file)
}

/// Maps a page of a file.
fn map_file(dma: &mut DmaMap, address: u64, file: &File, offset: u64) -> Result<(), Error> {
    let file = file.try_clone().unwrap();
    dma.map(
        range(address, PAGE),
        Rights::READ_WRITE,
        Some((file, offset)),
    )
}

/// Maps addresses without a file.
fn map(dma: &mut DmaMap, address: u64, size: u64) -> Result<(), Error> {
    dma.map(range(address, size), Rights::READ_WRITE, None)
}

#[test]
fn write_lands_in_the_file_at_its_offset() {
    let (dma, file) = map_of_pages(&[7, 3]);

    dma.write(3 * PAGE + 5, b"here").unwrap();

    assert_eq!(content(&file, PAGE + 5, 4), b"here");
}

#[test]
fn access_crosses_adjacent_mappings() {
    let (dma, file) = map_of_pages(&[2, 1]);
    let mut back = [0; 4];

    dma.write(2 * PAGE - 2, b"abcd").unwrap();
    dma.read(2 * PAGE - 2, &mut back).unwrap();

    assert_eq!(&back, b"abcd");
    assert_eq!(content(&file, 2 * PAGE - 2, 2), b"ab");
    assert_eq!(content(&file, 0, 2), b"cd");
}

#[test]
fn memory_is_handed_out_as_far_as_one_range_goes() {
    let (dma, _file) = map_of_pages(&[2, 1]);
    dma.write(2 * PAGE - 2, b"abcd").unwrap();
    let bytes = |slice: VolatileSlice<'_>| {
        let mut bytes = vec![0; slice.len()];
        slice.copy_to(&mut bytes[..]);
        bytes
    };

    let upwards = dma.stretch(2 * PAGE - 2, 4, Access::Read).unwrap();
    let downwards = dma.stretch_back(2 * PAGE + 1, 4, Access::Write).unwrap();

    assert_eq!(
        (bytes(upwards), bytes(downwards)),
        (b"ab".to_vec(), b"cd".to_vec())
    );
}

#[test]
fn access_into_a_gap_fails_without_effect() {
    let (dma, file) = map_of_pages(&[1, 3]);
    dma.write(3 * PAGE, b"abcd").unwrap();

    let written = dma.write(2 * PAGE - 2, b"abcd");
    let copied = dma.copy(3 * PAGE, 2 * PAGE - 2, 4);

    assert_eq!(written, Err(Unreachable));
    assert_eq!(copied, Err(Unreachable));
    assert_eq!(content(&file, 0, PAGE as usize), vec![0; PAGE as usize]);
}

#[test]
fn failed_read_leaves_the_buffer() {
    let (dma, _file) = map_of_pages(&[1]);
    let mut buffer = [0x5a; 4];

    let result = dma.read(2 * PAGE - 2, &mut buffer);

    assert_eq!(result, Err(Unreachable));
    assert_eq!(buffer, [0x5a; 4]);
}

#[test]
fn read_only_mapping_is_read_and_not_written() {
    let file = sealed(PAGE);
    file.write_all_at(b"rom", 0).unwrap();
    let mut dma = DmaMap::new();
    let theirs = Some((file.try_clone().unwrap(), 0));
    dma.map(range(0, PAGE), READ_ONLY, theirs).unwrap();
    let mut bytes = [0; 3];

    let read = dma.read(0, &mut bytes);
    let written = dma.write(0, b"ram");

    assert_eq!((read, written), (Ok(()), Err(Unreachable)));
    assert_eq!(&bytes, b"rom");
    assert_eq!(content(&file, 0, 3), b"rom");
    assert_eq!(dma.gap(0, PAGE, Access::Read), None);
    assert_eq!(dma.gap(0, PAGE, Access::Write), Some(0));
}

#[test]
fn first_address_that_cannot_be_reached_is_named() {
    let (dma, _file) = map_of_pages(&[1, 2, 4]);

    let gaps = [
        (PAGE, 2 * PAGE),
        (PAGE, 4 * PAGE),
        (0, 1),
        (4 * PAGE + 1, PAGE),
        (u64::MAX, 2),
    ]
    .map(|(address, length)| dma.gap(address, length, Access::Read));

    assert_eq!(
        gaps,
        [
            None,
            Some(3 * PAGE),
            Some(0),
            Some(5 * PAGE),
            Some(u64::MAX)
        ]
    );
}

#[test]
fn memory_that_may_only_be_written_can_be_written() {
    let file = sealed(PAGE);
    let mut dma = DmaMap::new();
    let rights = Rights {
        read: false,
        write: true,
    };
    dma.map(range(0, PAGE), rights, Some((file, 0))).unwrap();

    assert_eq!(dma.gap(0, PAGE, Access::Write), None);
    assert_eq!(dma.gap(0, PAGE, Access::Read), Some(0));
}

#[test]
fn mapping_without_file_is_not_reachable() {
    let mut dma = DmaMap::new();

    map(&mut dma, 0, PAGE).unwrap();

    assert_eq!(dma.len(), 1);
    assert!(!dma.reaches(0, 1, Access::Read));
}

#[test]
fn overlapping_mapping_is_refused() {
    let mut dma = DmaMap::new();
    map(&mut dma, 4 * PAGE, 2 * PAGE).unwrap();

    let overlaps = [(3, 2), (5, 1), (5, 2), (0, 16), (4, 2)]
        .map(|(page, pages)| map(&mut dma, page * PAGE, pages * PAGE).is_err());

    assert_eq!(overlaps, [true; 5]);
    assert_eq!(dma.len(), 1);
}

#[test]
fn neighbouring_mapping_is_accepted() {
    let mut dma = DmaMap::new();
    map(&mut dma, 4 * PAGE, PAGE).unwrap();

    map(&mut dma, 3 * PAGE, PAGE).unwrap();
    map(&mut dma, 5 * PAGE, PAGE).unwrap();

    assert_eq!(dma.len(), 3);
}

#[test]
fn mapping_up_to_the_last_address_is_reached_to_its_last_byte() {
    let file = sealed(PAGE);
    let mut dma = DmaMap::new();
    let last_page = u64::MAX - (PAGE - 1);
    map_file(&mut dma, last_page, &file, 0).unwrap();

    let inside = dma.write(u64::MAX, b"z");
    let outside = dma.write(u64::MAX, b"zz");

    assert_eq!((inside, outside), (Ok(()), Err(Unreachable)));
    assert_eq!(content(&file, PAGE - 1, 1), b"z");
}

#[test]
fn mapping_beyond_the_last_address_is_refused() {
    assert_eq!(DmaRange::new(u64::MAX - 1, 3), None);
}

#[test]
fn empty_mapping_is_refused() {
    assert_eq!(DmaRange::new(0, 0), None);
}

#[test]
fn mapping_beyond_the_end_of_the_file_is_refused() {
    let file = sealed(PAGE);
    let mut dma = DmaMap::new();

    let results = [(0, 2 * PAGE), (1, PAGE), (u64::MAX, PAGE)].map(|(offset, size)| {
        let file = (file.try_clone().unwrap(), offset);
        dma.map(range(0, size), Rights::READ_WRITE, Some(file))
    });

    assert!(results
        .iter()
        .all(|result| matches!(result, Err(Error::DmaFile { .. }))));
    assert!(dma.is_empty());
}

#[test]
fn unmap_removes_all_mappings_inside() {
    let mut dma = DmaMap::new();
    (0..4).for_each(|page| map(&mut dma, page * PAGE, PAGE).unwrap());

    let removed = dma.unmap(range(PAGE, 2 * PAGE)).unwrap();

    assert_eq!((removed, dma.len()), (2, 2));
}

#[test]
fn unmap_never_splits_a_mapping() {
    let mut dma = DmaMap::new();
    map(&mut dma, 0, 4 * PAGE).unwrap();

    for (page, pages) in [(0, 2), (1, 1), (3, 4)] {
        let result = dma.unmap(range(page * PAGE, pages * PAGE));
        let split = matches!(result, Err(Error::DmaRange(RangeFault::Split { .. })));
        assert!(split, "{result:?}");
    }
    assert_eq!(dma.len(), 1);
}

#[test]
fn unmap_beyond_the_last_address_removes_what_is_there() {
    let mut dma = DmaMap::new();
    map(&mut dma, PAGE, PAGE).unwrap();
    map(&mut dma, u64::MAX - (PAGE - 1), PAGE).unwrap();

    let removed = dma
        .unmap(DmaRange::up_to_end(PAGE, u64::MAX).unwrap())
        .unwrap();

    assert_eq!((removed, dma.is_empty()), (2, true));
}

#[test]
fn unmap_of_nothing_is_refused() {
    assert_eq!(DmaRange::up_to_end(0, 0), None);
}

#[test]
fn unmap_that_ends_before_it_starts_removes_nothing() {
    let mut dma = DmaMap::new();
    map(&mut dma, 4 * PAGE, PAGE).unwrap();

    let turned = DmaRange {
        first: 9 * PAGE,
        last: PAGE,
    };

    assert_eq!(dma.unmap(turned).unwrap(), 0);
    assert_eq!(dma.len(), 1);
}

#[test]
fn unmapped_memory_is_not_reached_any_more() {
    let (mut dma, file) = map_of_pages(&[1]);
    dma.unmap(range(PAGE, PAGE)).unwrap();

    let result = dma.write(PAGE, b"late");

    assert_eq!(result, Err(Unreachable));
    assert_eq!(content(&file, 0, 4), [0; 4]);
}

#[test]
fn memory_that_was_reached_before_is_not_reached_after_unmap() {
    for all in [false, true] {
        let (mut dma, file) = map_of_pages(&[1, 2]);
        dma.write(PAGE, b"soon").unwrap();
        if all {
            dma.unmap(DmaRange::ALL).unwrap();
        } else {
            dma.unmap(range(PAGE, PAGE)).unwrap();
        }

        let result = dma.write(PAGE, b"late");

        assert_eq!(result, Err(Unreachable));
        assert_eq!(content(&file, 0, 4), b"soon");
    }
}

#[test]
fn address_that_is_mapped_elsewhere_reaches_the_new_place() {
    let (mut dma, file) = map_of_pages(&[1, 2]);
    dma.write(PAGE, b"old").unwrap();
    dma.unmap(range(PAGE, PAGE)).unwrap();
    map_file(&mut dma, PAGE, &file, PAGE).unwrap();

    dma.write(PAGE, b"new").unwrap();

    assert_eq!(content(&file, 0, 3), b"old");
    assert_eq!(content(&file, PAGE, 3), b"new");
}

#[test]
fn many_pages_are_reached_in_turn() {
    let pages: Vec<u64> = (1..200).collect();
    let (dma, file) = map_of_pages(&pages);

    for _ in 0..2 {
        for page in &pages {
            let number = page.to_le_bytes();
            dma.write(page * PAGE, &number).unwrap();
        }
    }

    for (place, page) in (0..).zip(&pages) {
        assert_eq!(content(&file, place * PAGE, 8), page.to_le_bytes());
    }
}

#[test]
fn one_range_more_than_the_limit_is_refused_by_the_map() {
    let mut dma = DmaMap::new();
    for page in 0..MAX_DMA_MAPS as u64 {
        map(&mut dma, page * PAGE, PAGE).unwrap();
    }

    let last = range(MAX_DMA_MAPS as u64 * PAGE, PAGE);
    let result = dma.map(last, Rights::READ_WRITE, None);

    assert!(
        matches!(result, Err(Error::DmaRange(RangeFault::Count { range })) if range == last),
        "{result:?}"
    );
    assert_eq!(dma.len(), MAX_DMA_MAPS);
}

#[test]
fn file_is_mapped_once_however_many_ranges_show_it() {
    let (_dma, file) = map_of_pages(&[1, 2, 5, 9]);
    let inode = file.metadata().unwrap().ino().to_string();

    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();

    let of_file = maps
        .lines()
        .filter(|line| line.split_whitespace().nth(4) == Some(&inode));
    assert_eq!(of_file.count(), 1);
}

#[test]
fn file_is_let_go_with_its_last_range() {
    let (mut dma, _file) = map_of_pages(&[1, 2]);

    let files = [PAGE, 2 * PAGE].map(|address| {
        dma.unmap(range(address, PAGE)).unwrap();
        dma.files()
    });

    assert_eq!(files, [1, 0]);
}

#[test]
fn file_that_grew_is_reached_to_its_new_end() {
    let (mut dma, file) = map_of_pages(&[1]);
    ftruncate(&file, 2 * PAGE).unwrap();
    map_file(&mut dma, 2 * PAGE, &file, PAGE).unwrap();

    dma.write(2 * PAGE - 1, b"ab").unwrap();

    assert_eq!(content(&file, PAGE - 1, 2), b"ab");
}

#[test]
fn access_of_no_bytes_needs_no_memory() {
    let dma = DmaMap::new();

    assert_eq!(dma.read(0, &mut []), Ok(()));
    assert_eq!(dma.copy(0, 9, 0), Ok(()));
    assert_eq!(dma.gap(0, 0, Access::Write), None);
}

#[test]
fn memory_of_the_device_is_copied_to_the_guest_and_back() {
    let (dma, file) = map_of_pages(&[1, 2]);
    let device = SharedMemory::new("test-device", PAGE as usize).unwrap();
    file.write_all_at(b"0123456789", PAGE - 5).unwrap();

    dma.copy_out(2 * PAGE - 5, device.slice(100, 10).unwrap())
        .unwrap();
    dma.copy_in(device.slice(101, 8).unwrap(), 2 * PAGE - 4)
        .unwrap();
    dma.copy_in(device.slice(103, 4).unwrap(), PAGE).unwrap();

    assert_eq!(content(&file, 0, 5), b"3456\0");
    assert_eq!(content(&file, PAGE - 5, 10), b"0123456789");
}

#[test]
fn copy_between_guest_and_device_into_a_gap_fails_without_effect() {
    let (dma, file) = map_of_pages(&[1]);
    let device = SharedMemory::new("test-device", PAGE as usize).unwrap();
    file.write_all_at(b"guest", PAGE - 5).unwrap();
    let memory = device.slice(0, 6).unwrap();

    let out = dma.copy_out(2 * PAGE - 5, memory);
    let mut bytes = [0; 6];
    memory.copy_to(&mut bytes);
    let into = dma.copy_in(memory, 2 * PAGE - 5);

    assert_eq!((out, into), (Err(Unreachable), Err(Unreachable)));
    assert_eq!(bytes, [0; 6]);
    assert_eq!(content(&file, PAGE - 5, 5), b"guest");
}

proptest! {
    #[test]
    fn copy_acts_as_memmove_over_scattered_pages(
        from in 0..7 * PAGE as usize,
        to in 0..7 * PAGE as usize,
        length in 0..PAGE as usize,
    ) {
        let (dma, _file) = map_of_pages(&[8, 3, 5, 1, 2, 7, 6, 4]);
        let mut expected: Vec<u8> = (0..8 * PAGE).map(|byte| ((byte * 31) >> 3) as u8).collect();
        dma.write(PAGE, &expected).unwrap();

        dma.copy(PAGE + from as u64, PAGE + to as u64, length)
            .unwrap();

        let mut bytes = vec![0; expected.len()];
        dma.read(PAGE, &mut bytes).unwrap();
        expected.copy_within(from..from + length, to);
        prop_assert!(bytes == expected);
    }

    #[test]
    fn reachable_means_that_reads_and_writes_work(
        pages in prop::collection::btree_set(0_u64..12, 1..8),
        address in 0..13 * PAGE,
        length in 0..3 * PAGE as usize,
    ) {
        let pages: Vec<u64> = pages.into_iter().collect();
        let (dma, _file) = map_of_pages(&pages);
        let reachable = dma.gap(address, length as u64, Access::Write).is_none();
        let mut buffer = vec![0; length];

        prop_assert_eq!(dma.read(address, &mut buffer).is_ok(), reachable);
        prop_assert_eq!(dma.write(address, &buffer).is_ok(), reachable);
    }
}
