// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Mapping, unmapping and reaching guest memory by DMA address.

mod common;

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};

use common::memory_file;
use proptest::prelude::*;
use ringbar_endpoint::dma::{Access, DmaMap, Rights, MAX_MAPPINGS};
use ringbar_endpoint::Error;
use ringbar_model::{Host, Place, Unreachable};
use ringbar_server::host::Memory;
use rustix::fs::{fcntl_add_seals, ftruncate, memfd_create, MemfdFlags, SealFlags};

const PAGE: u64 = 4096;
const READ_ONLY: Rights = Rights {
    read: true,
    write: false,
};

/// Makes memory with the pages of a file mapped at the given page numbers, in the order of the
/// file.
fn memory_with_pages(pages: &[u64]) -> (Memory, File) {
    let file = memory_file(pages.len() as u64 * PAGE);
    let mut memory = Memory::new(16384).unwrap();
    for (number, page) in (0..).zip(pages) {
        let part = Some(file.try_clone().unwrap());
        memory
            .dma
            .map(page * PAGE, PAGE, Rights::READ_WRITE, part, number * PAGE)
            .unwrap();
    }
    (memory, file)
}

fn map(dma: &mut DmaMap, address: u64, size: u64) -> Result<(), Error> {
    dma.map(address, size, Rights::READ_WRITE, None, 0)
}

fn content(file: &File, offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset).unwrap();
    bytes
}

#[test]
fn write_lands_in_the_file_at_its_offset() {
    let (memory, file) = memory_with_pages(&[7, 3]);

    memory.write(Place::Guest(3 * PAGE + 5), b"here").unwrap();

    assert_eq!(content(&file, PAGE + 5, 4), b"here");
}

#[test]
fn access_crosses_adjacent_mappings() {
    let (memory, file) = memory_with_pages(&[2, 1]);
    let mut back = [0; 4];

    memory.write(Place::Guest(2 * PAGE - 2), b"abcd").unwrap();
    memory.read(Place::Guest(2 * PAGE - 2), &mut back).unwrap();

    assert_eq!(&back, b"abcd");
    assert_eq!(content(&file, 2 * PAGE - 2, 2), b"ab");
    assert_eq!(content(&file, 0, 2), b"cd");
}

#[test]
fn access_into_a_gap_fails_without_effect() {
    let (memory, file) = memory_with_pages(&[1, 3]);
    memory.write(Place::Guest(3 * PAGE), b"abcd").unwrap();

    let written = memory.write(Place::Guest(2 * PAGE - 2), b"abcd");
    let copied = memory.copy(Place::Guest(3 * PAGE), Place::Guest(2 * PAGE - 2), 4);

    assert_eq!(written, Err(Unreachable));
    assert_eq!(copied, Err(Unreachable));
    assert_eq!(content(&file, 0, PAGE as usize), vec![0; PAGE as usize]);
}

#[test]
fn failed_read_leaves_the_buffer() {
    let (memory, _file) = memory_with_pages(&[1]);
    let mut buffer = [0x5a; 4];

    let result = memory.read(Place::Guest(2 * PAGE - 2), &mut buffer);

    assert_eq!(result, Err(Unreachable));
    assert_eq!(buffer, [0x5a; 4]);
}

#[test]
fn read_only_mapping_is_read_and_not_written() {
    let file = memory_file(PAGE);
    file.write_all_at(b"rom", 0).unwrap();
    let mut memory = Memory::new(16384).unwrap();
    memory
        .dma
        .map(0, PAGE, READ_ONLY, Some(file.try_clone().unwrap()), 0)
        .unwrap();
    let mut bytes = [0; 3];

    let read = memory.read(Place::Guest(0), &mut bytes);
    let written = memory.write(Place::Guest(0), b"ram");

    assert_eq!((read, written), (Ok(()), Err(Unreachable)));
    assert_eq!(&bytes, b"rom");
    assert_eq!(content(&file, 0, 3), b"rom");
    assert_eq!(memory.unreachable(0, PAGE, false), None);
    assert_eq!(memory.unreachable(0, PAGE, true), Some(0));
}

#[test]
fn first_address_that_cannot_be_reached_is_named() {
    let (memory, _file) = memory_with_pages(&[1, 2, 4]);

    let gaps = [
        (PAGE, 2 * PAGE),
        (PAGE, 4 * PAGE),
        (0, 1),
        (4 * PAGE + 1, PAGE),
        (u64::MAX, 2),
    ]
    .map(|(address, length)| memory.unreachable(address, length, false));

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
    let file = memory_file(PAGE);
    let mut memory = Memory::new(16384).unwrap();
    let rights = Rights {
        read: false,
        write: true,
    };
    memory.dma.map(0, PAGE, rights, Some(file), 0).unwrap();

    assert_eq!(memory.unreachable(0, PAGE, true), None);
    assert_eq!(memory.unreachable(0, PAGE, false), Some(0));
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
    let file = memory_file(PAGE);
    let mut memory = Memory::new(16384).unwrap();
    let last_page = u64::MAX - (PAGE - 1);
    memory
        .dma
        .map(
            last_page,
            PAGE,
            Rights::READ_WRITE,
            Some(file.try_clone().unwrap()),
            0,
        )
        .unwrap();

    let inside = memory.write(Place::Guest(u64::MAX), b"z");
    let outside = memory.write(Place::Guest(u64::MAX), b"zz");

    assert_eq!((inside, outside), (Ok(()), Err(Unreachable)));
    assert_eq!(content(&file, PAGE - 1, 1), b"z");
}

#[test]
fn mapping_beyond_the_last_address_is_refused() {
    let mut dma = DmaMap::new();

    let result = map(&mut dma, u64::MAX - 1, 3);

    assert!(matches!(result, Err(Error::DmaRange { .. })));
}

#[test]
fn empty_mapping_is_refused() {
    let mut dma = DmaMap::new();

    assert!(matches!(map(&mut dma, 0, 0), Err(Error::DmaRange { .. })));
}

#[test]
fn mapping_beyond_the_end_of_the_file_is_refused() {
    let file = memory_file(PAGE);
    let mut dma = DmaMap::new();

    let results = [(0, 2 * PAGE), (1, PAGE), (u64::MAX, PAGE)].map(|(offset, size)| {
        let file = Some(file.try_clone().unwrap());
        dma.map(0, size, Rights::READ_WRITE, file, offset)
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

    let removed = dma.unmap(PAGE, 2 * PAGE).unwrap();

    assert_eq!((removed, dma.len()), (2, 2));
}

#[test]
fn unmap_never_splits_a_mapping() {
    let mut dma = DmaMap::new();
    map(&mut dma, 0, 4 * PAGE).unwrap();

    let removed =
        [(0, 2), (1, 1), (3, 4)].map(|(page, pages)| dma.unmap(page * PAGE, pages * PAGE).unwrap());

    assert_eq!(removed, [0; 3]);
    assert_eq!(dma.len(), 1);
}

#[test]
fn unmap_beyond_the_last_address_removes_what_is_there() {
    let mut dma = DmaMap::new();
    map(&mut dma, PAGE, PAGE).unwrap();
    map(&mut dma, u64::MAX - (PAGE - 1), PAGE).unwrap();

    let removed = dma.unmap(PAGE, u64::MAX).unwrap();

    assert_eq!((removed, dma.is_empty()), (2, true));
}

#[test]
fn unmap_of_nothing_is_refused() {
    assert!(matches!(
        DmaMap::new().unmap(0, 0),
        Err(Error::DmaRange { .. })
    ));
}

#[test]
fn unmapped_memory_is_not_reached_any_more() {
    let (mut memory, file) = memory_with_pages(&[1]);
    memory.dma.unmap(PAGE, PAGE).unwrap();

    let result = memory.write(Place::Guest(PAGE), b"late");

    assert_eq!(result, Err(Unreachable));
    assert_eq!(content(&file, 0, 4), [0; 4]);
}

#[test]
fn memory_that_was_reached_before_is_not_reached_after_unmap() {
    for all in [false, true] {
        let (mut memory, file) = memory_with_pages(&[1, 2]);
        memory.write(Place::Guest(PAGE), b"soon").unwrap();
        if all {
            memory.dma.unmap_all();
        } else {
            memory.dma.unmap(PAGE, PAGE).unwrap();
        }

        let result = memory.write(Place::Guest(PAGE), b"late");

        assert_eq!(result, Err(Unreachable));
        assert_eq!(content(&file, 0, 4), b"soon");
    }
}

#[test]
fn address_that_is_mapped_elsewhere_reaches_the_new_place() {
    let (mut memory, file) = memory_with_pages(&[1, 2]);
    memory.write(Place::Guest(PAGE), b"old").unwrap();
    memory.dma.unmap(PAGE, PAGE).unwrap();
    let part = Some(file.try_clone().unwrap());
    memory
        .dma
        .map(PAGE, PAGE, Rights::READ_WRITE, part, PAGE)
        .unwrap();

    memory.write(Place::Guest(PAGE), b"new").unwrap();

    assert_eq!(content(&file, 0, 3), b"old");
    assert_eq!(content(&file, PAGE, 3), b"new");
}

#[test]
fn many_pages_are_reached_in_turn() {
    let pages: Vec<u64> = (1..200).collect();
    let (memory, file) = memory_with_pages(&pages);

    for _ in 0..2 {
        for page in &pages {
            let number = page.to_le_bytes();
            memory.write(Place::Guest(page * PAGE), &number).unwrap();
        }
    }

    for (place, page) in (0..).zip(&pages) {
        assert_eq!(content(&file, place * PAGE, 8), page.to_le_bytes());
    }
}

#[test]
fn one_range_more_than_the_limit_is_refused_by_the_map() {
    let mut dma = DmaMap::new();
    for page in 0..MAX_MAPPINGS as u64 {
        map(&mut dma, page * PAGE, PAGE).unwrap();
    }

    let result = map(&mut dma, MAX_MAPPINGS as u64 * PAGE, PAGE);

    assert!(matches!(result, Err(Error::DmaMappings(MAX_MAPPINGS))));
    assert_eq!(dma.len(), MAX_MAPPINGS);
}

#[test]
fn file_is_mapped_once_however_many_ranges_show_it() {
    let (_memory, file) = memory_with_pages(&[1, 2, 5, 9]);
    let inode = file.metadata().unwrap().ino().to_string();

    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();

    let of_file = maps
        .lines()
        .filter(|line| line.split_whitespace().nth(4) == Some(&inode));
    assert_eq!(of_file.count(), 1);
}

#[test]
fn file_is_let_go_with_its_last_range() {
    let (mut memory, _file) = memory_with_pages(&[1, 2]);

    let files = [PAGE, 2 * PAGE].map(|address| {
        memory.dma.unmap(address, PAGE).unwrap();
        memory.dma.files()
    });

    assert_eq!(files, [1, 0]);
}

#[test]
fn file_that_grew_is_reached_to_its_new_end() {
    let (mut memory, file) = memory_with_pages(&[1]);
    ftruncate(&file, 2 * PAGE).unwrap();
    let part = Some(file.try_clone().unwrap());
    memory
        .dma
        .map(2 * PAGE, PAGE, Rights::READ_WRITE, part, PAGE)
        .unwrap();

    memory.write(Place::Guest(2 * PAGE - 1), b"ab").unwrap();

    assert_eq!(content(&file, PAGE - 1, 2), b"ab");
}

#[test]
fn file_that_may_shrink_is_accepted_and_not_reached() {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(memfd_create("unsealed", flags).unwrap());
    ftruncate(&file, PAGE).unwrap();
    let mut memory = Memory::new(16384).unwrap();
    let theirs = Some(file.try_clone().unwrap());
    let mapped = memory.dma.map(0, PAGE, Rights::READ_WRITE, theirs, 0);

    ftruncate(&file, 0).unwrap();

    assert!(mapped.is_ok());
    let read = memory.read(Place::Guest(0), &mut [0; 4]);
    assert_eq!((read, memory.dma.files()), (Err(Unreachable), 0));
}

#[test]
fn file_of_huge_pages_is_accepted_and_not_reached() {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB;
    let file = match memfd_create("huge", flags) {
        Ok(file) => File::from(file),
        Err(error) => return println!("skipped: no file of huge pages: {error}"),
    };
    ftruncate(&file, 1 << 30).unwrap();
    fcntl_add_seals(&file, SealFlags::SHRINK).unwrap();
    let mut memory = Memory::new(16384).unwrap();

    let mapped = memory.dma.map(0, PAGE, Rights::READ_WRITE, Some(file), 0);

    assert!(mapped.is_ok());
    let read = memory.read(Place::Guest(0), &mut [0; 4]);
    assert_eq!((read, memory.dma.files()), (Err(Unreachable), 0));
}

#[test]
fn access_of_no_bytes_needs_no_memory() {
    let memory = Memory::new(16384).unwrap();

    assert_eq!(memory.read(Place::Guest(0), &mut []), Ok(()));
    assert_eq!(memory.copy(Place::Guest(0), Place::Guest(9), 0), Ok(()));
    assert_eq!(memory.unreachable(0, 0, true), None);
}

#[test]
fn device_memory_is_copied_to_the_guest_and_back() {
    let (memory, file) = memory_with_pages(&[1, 2]);
    file.write_all_at(b"0123456789", PAGE - 5).unwrap();

    memory
        .copy(Place::Guest(2 * PAGE - 5), Place::DeviceMemory(100), 10)
        .unwrap();
    memory
        .copy(Place::DeviceMemory(103), Place::Guest(PAGE), 4)
        .unwrap();

    assert_eq!(content(&file, 0, 5), b"3456\0");
}

#[test]
fn device_memory_is_not_left() {
    let (memory, file) = memory_with_pages(&[1]);

    let result = memory.copy(Place::DeviceMemory(16380), Place::Guest(PAGE), 5);

    assert_eq!(result, Err(Unreachable));
    assert_eq!(content(&file, 0, 5), [0; 5]);
}

proptest! {
    #[test]
    fn copy_acts_as_memmove_over_scattered_pages(
        from in 0..7 * PAGE as usize,
        to in 0..7 * PAGE as usize,
        length in 0..PAGE as usize,
    ) {
        let (memory, _file) = memory_with_pages(&[8, 3, 5, 1, 2, 7, 6, 4]);
        let mut expected: Vec<u8> = (0..8 * PAGE).map(|byte| ((byte * 31) >> 3) as u8).collect();
        memory.write(Place::Guest(PAGE), &expected).unwrap();

        memory
            .copy(Place::Guest(PAGE + from as u64), Place::Guest(PAGE + to as u64), length)
            .unwrap();

        let mut bytes = vec![0; expected.len()];
        memory.read(Place::Guest(PAGE), &mut bytes).unwrap();
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
        let (memory, _file) = memory_with_pages(&pages);
        let reachable = memory.unreachable(address, length as u64, true).is_none();
        let mut buffer = vec![0; length];

        prop_assert_eq!(memory.read(Place::Guest(address), &mut buffer).is_ok(), reachable);
        prop_assert_eq!(memory.write(Place::Guest(address), &buffer).is_ok(), reachable);
    }
}
