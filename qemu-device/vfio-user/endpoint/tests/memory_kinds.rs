// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Guest memory of every kind: what the device reaches, and what a client can do to it.

mod common;

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{content, range, sealed, unsealed, PAGE, READ_ONLY};
use proptest::prelude::*;
use ringbar_endpoint::dma::{Access, DmaMap, Rights, Unreachable};
use ringbar_endpoint::memory::SharedMemory;
use ringbar_endpoint::Error;
use rustix::fs::{fcntl_add_seals, ftruncate, memfd_create, MemfdFlags, SealFlags};

/// Makes a file of huge pages. Without any, the test prints that it is skipped.
fn huge(size: u64) -> Option<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB;
    match memfd_create("huge", flags) {
        Ok(file) => {
            let file = File::from(file);
            ftruncate(&file, size).unwrap();
            fcntl_add_seals(&file, SealFlags::SHRINK).unwrap();
            Some(file)
        }
        Err(error) => {
            println!("skipped: no file of huge pages: {error}");
            None
        }
    }
}

/// Opens a file once more, for reading only.
fn read_only(file: &File) -> File {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap()
}

/// Maps a file from its start.
fn map(
    dma: &mut DmaMap,
    address: u64,
    size: u64,
    rights: Rights,
    file: &File,
) -> Result<(), Error> {
    let file = file.try_clone().unwrap();
    dma.map(range(address, size), rights, Some((file, 0)))
}

/// Makes a map of a file from address 0 on.
fn map_of(file: &File, size: u64) -> DmaMap {
    let mut dma = DmaMap::new();
    map(&mut dma, 0, size, Rights::READ_WRITE, file).unwrap();
    dma
}

/// Checks that the device reads and writes the bytes of a file.
fn assert_reached(file: &File) {
    let dma = map_of(file, 2 * PAGE);
    let mut back = [0; 6];

    file.write_all_at(b"client", PAGE - 3).unwrap();
    dma.read(PAGE - 3, &mut back).unwrap();
    dma.write(2 * PAGE - 6, b"device").unwrap();

    assert_eq!(&back, b"client");
    assert_eq!(content(file, 2 * PAGE - 6, 6), b"device");
    assert_eq!(dma.gap(0, 2 * PAGE, Access::Write), None);
}

/// Checks that a file is accepted, and never reached.
fn assert_never_reached(file: &File, rights: Rights) {
    let mut dma = DmaMap::new();

    map(&mut dma, 0, PAGE, rights, file).unwrap();

    assert_eq!(dma.read(0, &mut [0; 4]), Err(Unreachable));
    assert_eq!(dma.gap(0, PAGE, Access::Read), Some(0));
    assert_eq!((dma.len(), dma.files()), (1, 0));
}

#[test]
fn file_that_can_shrink_is_reached() {
    assert_reached(&unsealed(2 * PAGE));
}

#[test]
fn file_on_tmpfs_is_reached() {
    // As of QEMU's memory-backend-shm, and of memory-backend-file with a path there.
    match tempfile::tempfile_in("/dev/shm") {
        Ok(file) => {
            file.set_len(2 * PAGE).unwrap();
            assert_reached(&file);
        }
        Err(error) => println!("skipped: no tmpfs at /dev/shm: {error}"),
    }
}

#[test]
fn file_on_a_disk_is_reached() {
    let file = tempfile::tempfile().unwrap();
    if file.metadata().unwrap().dev() >> 8 == 0 {
        return println!("skipped: the folder of temporary files is on no disk");
    }
    file.set_len(2 * PAGE).unwrap();

    assert_reached(&file);
}

#[test]
fn bytes_that_the_file_has_lost_fail_and_kill_nobody() {
    let file = unsealed(2 * PAGE);
    let dma = map_of(&file, 2 * PAGE);
    let device = SharedMemory::new("device", PAGE as usize).unwrap();
    let memory = device.slice(0, 8).unwrap();
    ftruncate(&file, 0).unwrap();

    let results = [
        dma.read(8, &mut [0; 8]),
        dma.write(8, &[1; 8]),
        dma.copy(0, PAGE, 8),
        dma.copy_out(8, memory),
        dma.copy_in(memory, 8),
    ];

    assert_eq!(results, [Err(Unreachable); 5]);
    // A write must not bring back what the client has taken.
    assert_eq!(file.metadata().unwrap().len(), 0);
}

#[test]
fn copy_over_the_end_of_a_file_that_shrank_fails_in_the_middle() {
    let file = unsealed(2 * PAGE);
    let dma = map_of(&file, 2 * PAGE);
    ftruncate(&file, PAGE).unwrap();

    let written = dma.write(PAGE - 4, b"headtail");

    assert_eq!(written, Err(Unreachable));
    assert_eq!(content(&file, PAGE - 4, 4), b"head");
    assert_eq!(file.metadata().unwrap().len(), PAGE);
}

#[test]
fn client_that_shrinks_its_file_during_copies_kills_nobody() {
    const SIZE: u64 = 64 << 10;
    let file = unsealed(2 * SIZE);
    let dma = map_of(&file, 2 * SIZE);
    let done = AtomicBool::new(false);
    let mut failed = 0;

    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                ftruncate(&file, SIZE / 2).unwrap();
                ftruncate(&file, 2 * SIZE).unwrap();
                // Long enough for some copies to succeed.
                (0..20_000).for_each(|_| std::hint::spin_loop());
            }
        });
        for _ in 0..500 {
            failed += u32::from(dma.copy(0, SIZE, SIZE as usize).is_err());
        }
        done.store(true, Ordering::Relaxed);
    });

    println!("{failed} of 500 copies failed");
}

#[test]
fn file_that_is_open_for_reading_is_read_and_not_written() {
    for file in [unsealed(PAGE), sealed(PAGE)] {
        file.write_all_at(b"rom", 0).unwrap();
        let mut dma = DmaMap::new();
        map(&mut dma, 0, PAGE, READ_ONLY, &read_only(&file)).unwrap();
        let mut bytes = [0; 3];

        let read = dma.read(0, &mut bytes);
        let written = dma.write(0, b"ram");

        assert_eq!((read, written), (Ok(()), Err(Unreachable)));
        assert_eq!(&bytes, b"rom");
        assert_eq!(content(&file, 0, 3), b"rom");
    }
}

#[test]
fn rights_of_a_range_hold_for_memory_that_is_copied() {
    let file = unsealed(PAGE);
    let mut dma = DmaMap::new();
    let write_only = Rights {
        read: false,
        write: true,
    };
    map(&mut dma, 0, PAGE, READ_ONLY, &file).unwrap();
    map(&mut dma, PAGE, PAGE, write_only, &file).unwrap();

    let results = [
        dma.write(8, &[1; 4]),
        dma.read(8, &mut [0; 4]),
        dma.write(PAGE + 8, &[0; 4]),
        dma.read(PAGE + 8, &mut [0; 4]),
    ];

    let refused = Err(Unreachable);
    assert_eq!(results, [refused, Ok(()), Ok(()), refused]);
    assert_eq!(content(&file, 8, 4), [0; 4]);
}

#[test]
fn file_that_is_first_mapped_for_reading_is_written_by_a_later_range() {
    let file = unsealed(PAGE);
    let mut dma = DmaMap::new();
    map(&mut dma, 0, PAGE, READ_ONLY, &read_only(&file)).unwrap();
    map(&mut dma, PAGE, PAGE, Rights::READ_WRITE, &file).unwrap();
    let mut bytes = [0; 3];

    dma.write(PAGE, b"ram").unwrap();
    dma.read(0, &mut bytes).unwrap();

    assert_eq!(&bytes, b"ram");
}

#[test]
fn memory_that_the_device_may_write_with_a_read_only_file_is_never_reached() {
    // QEMU has a private copy then, so the bytes of the file are not the guest's.
    assert_never_reached(&read_only(&sealed(PAGE)), Rights::READ_WRITE);
}

#[test]
fn file_that_is_sealed_against_writes_is_read() {
    let file = unsealed(PAGE);
    file.write_all_at(b"rom", 0).unwrap();
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::FUTURE_WRITE).unwrap();
    let mut dma = DmaMap::new();
    let mut bytes = [0; 3];

    map(&mut dma, 0, PAGE, READ_ONLY, &file).unwrap();

    dma.read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"rom");
    assert_never_reached(&file, Rights::READ_WRITE);
}

#[test]
fn file_system_that_is_neither_memory_nor_disk_is_never_asked() {
    // Of a file system without a disk, as that of FUSE is, which a client can serve.
    let path = Path::new("/sys/devices/system/cpu/online");
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return println!("skipped: no {}: {error}", path.display()),
    };

    assert_never_reached(&file, READ_ONLY);
}

#[test]
fn folder_is_never_reached() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // A folder of a disk has a size of a block, others of less: with files in it, of more.
    (0..400).for_each(|number| fs::write(folder.path().join(number.to_string()), []).unwrap());
    let file = File::open(folder.path()).unwrap();
    if file.metadata().unwrap().len() < PAGE {
        return println!("skipped: a folder has less than a page here");
    }

    assert_never_reached(&file, READ_ONLY);
}

#[test]
fn memory_that_is_copied_is_handed_out_to_no_device() {
    let dma = map_of(&unsealed(PAGE), PAGE);

    assert!(dma.stretch(0, 4, Access::Read).is_none());
    assert!(dma.stretch_back(4, 4, Access::Write).is_none());
}

#[test]
fn memory_that_is_copied_is_not_reached_after_unmap() {
    let file = unsealed(PAGE);
    let mut dma = map_of(&file, PAGE);
    let files = dma.files();

    dma.unmap(range(0, PAGE)).unwrap();

    assert_eq!(dma.write(0, b"late"), Err(Unreachable));
    assert_eq!((files, dma.files()), (1, 0));
    assert_eq!(content(&file, 0, 4), [0; 4]);
}

#[test]
fn long_copies_between_device_and_copied_memory_are_whole() {
    const SIZE: usize = 100_000;
    let file = unsealed(32 * PAGE);
    let dma = map_of(&file, 32 * PAGE);
    let device = SharedMemory::new("device", SIZE).unwrap();
    let bytes: Vec<u8> = (0..SIZE).map(|byte| ((byte * 31) >> 3) as u8).collect();
    file.write_all_at(&bytes, 5).unwrap();

    dma.copy_out(5, device.slice(0, SIZE).unwrap()).unwrap();
    file.write_all_at(&vec![0; SIZE], 5).unwrap();
    dma.copy_in(device.slice(0, SIZE).unwrap(), 7).unwrap();

    assert!(content(&file, 7, SIZE) == bytes);
}

#[test]
fn huge_pages_are_reached_if_there_are_any() {
    let Some(file) = huge(2 << 20) else { return };
    let dma = map_of(&file, 2 << 20);
    let mut back = [0; 4];

    if dma.write(PAGE - 2, b"huge").is_err() {
        return println!("skipped: no huge page is free (vm.nr_hugepages)");
    }

    dma.read(PAGE - 2, &mut back).unwrap();
    assert_eq!(&back, b"huge");
    assert_eq!(content(&file, PAGE - 2, 4), b"huge");
}

#[test]
fn huge_pages_that_are_used_up_fail_and_kill_nobody() {
    // More than a machine sets aside for a test.
    let Some(file) = huge(64 << 30) else { return };
    let dma = map_of(&file, 64 << 30);

    let written = (0..32 << 10).try_for_each(|page| dma.write(page << 21, b"huge"));

    assert_eq!(written, Err(Unreachable));
}

proptest! {
    #[test]
    fn copy_acts_as_memmove_over_memory_of_both_kinds(
        kinds in prop::collection::vec(any::<bool>(), 4),
        from in 0..96_usize << 10,
        to in 0..96_usize << 10,
        length in 0..32_usize << 10,
    ) {
        const SIZE: u64 = 32 << 10;
        let mut dma = DmaMap::new();
        for (number, copied) in (0..).zip(&kinds) {
            let file = if *copied { unsealed(SIZE) } else { sealed(SIZE) };
            map(&mut dma, number * SIZE, SIZE, Rights::READ_WRITE, &file).unwrap();
        }
        let mut expected: Vec<u8> = (0..4 * SIZE).map(|byte| ((byte * 31) >> 3) as u8).collect();
        dma.write(0, &expected).unwrap();

        dma.copy(from as u64, to as u64, length).unwrap();

        let mut bytes = vec![0; expected.len()];
        dma.read(0, &mut bytes).unwrap();
        expected.copy_within(from..from + length, to);
        prop_assert!(bytes == expected);
    }
}
