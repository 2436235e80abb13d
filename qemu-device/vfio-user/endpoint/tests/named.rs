// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Lines of the log about memory that the device does not reach, or only by copies.

use std::cell::RefCell;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Once;

use log::{Level, Log, Metadata, Record};
use ringbar_endpoint::dma::{Access, DmaMap, Rights, Unreachable};
use ringbar_vfio_user::device::DmaRange;
use rustix::fs::{ftruncate, memfd_create, MemfdFlags};

const PAGE: u64 = 4096;

/// A log that each thread has for itself, as each test has a thread.
struct Lines;

thread_local! {
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info
    }

    fn log(&self, record: &Record<'_>) {
        LINES.with_borrow_mut(|lines| lines.push((record.level(), record.args().to_string())));
    }

    fn flush(&self) {}
}

/// Takes the lines that were logged by this thread since the last call.
fn lines() -> Vec<(Level, String)> {
    LINES.take()
}

/// Makes an empty map, and lets lines be kept.
fn map() -> DmaMap {
    static SET: Once = Once::new();
    SET.call_once(|| {
        log::set_logger(&Lines).unwrap();
        log::set_max_level(log::LevelFilter::Info);
    });
    DmaMap::new()
}

/// Maps two pages, each with its own request.
fn map_pages(dma: &mut DmaMap, rights: Rights, file: Option<&File>) {
    for page in 1..3 {
        let range = DmaRange::new(page * PAGE, PAGE).unwrap();
        let file = file.map(|file| (file.try_clone().unwrap(), 0));
        dma.map(range, rights, file).unwrap();
    }
}

fn memory(size: u64) -> File {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(memfd_create("named", flags).unwrap());
    ftruncate(&file, size).unwrap();
    file
}

/// Asserts that one line of this level was logged, with each of these parts.
#[track_caller]
fn assert_one(lines: &[(Level, String)], level: Level, parts: &[&str]) {
    let [(found, line)] = lines else {
        panic!("{lines:?}");
    };
    assert_eq!(*found, level);
    for part in parts {
        assert!(line.contains(part), "{part} is not in {line:?}");
    }
}

#[test]
fn memory_without_a_file_is_named_when_the_device_wants_it() {
    let mut dma = map();
    map_pages(&mut dma, Rights::READ_WRITE, None);
    // QEMU has none for its own ROM, which no device wants.
    assert_eq!(lines(), []);

    let wanted = [1, 2, 1].map(|page| dma.read(page * PAGE + 8, &mut [0; 4]));

    assert_eq!(wanted, [Err(Unreachable); 3]);
    let parts = [
        "0x1000",
        "without a file",
        "memory-backend-memfd",
        "share=on",
    ];
    assert_one(&lines(), Level::Warn, &parts);
}

#[test]
fn read_only_file_of_memory_that_may_be_written_is_named_at_once() {
    let file = memory(PAGE);
    let file = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
    let mut dma = map();

    map_pages(&mut dma, Rights::READ_WRITE, Some(&file));

    let parts = ["0x1000", "cannot be written", "share=on", "readonly=off"];
    assert_one(&lines(), Level::Warn, &parts);
}

#[test]
fn file_system_that_is_neither_memory_nor_disk_is_named_at_once() {
    let Ok(file) = File::open("/sys/devices/system/cpu/online") else {
        return println!("skipped: no sysfs");
    };
    let rights = Rights {
        read: true,
        write: false,
    };
    let mut dma = map();

    map_pages(&mut dma, rights, Some(&file));

    let parts = ["0x1000", "file system", "/dev/shm", "memory-backend-memfd"];
    assert_one(&lines(), Level::Warn, &parts);
}

#[test]
fn memory_of_copies_is_named_at_once() {
    let mut dma = map();

    map_pages(&mut dma, Rights::READ_WRITE, Some(&memory(PAGE)));

    let parts = ["0x1000", "can shrink", "memory-backend-memfd"];
    assert_one(&lines(), Level::Info, &parts);
}

#[test]
fn copy_that_fails_is_named_once() {
    let file = memory(PAGE);
    let mut dma = map();
    map_pages(&mut dma, Rights::READ_WRITE, Some(&file));
    ftruncate(&file, 0).unwrap();
    lines();

    let results = [1, 2].map(|page| dma.write(page * PAGE, &[1; 4]));

    assert_eq!(results, [Err(Unreachable); 2]);
    // It is as reachable as before: the client may make the file longer again.
    assert_eq!(dma.gap(PAGE, 2 * PAGE, Access::Write), None);
    let parts = ["Bad address", "shorter", "vm.nr_hugepages"];
    assert_one(&lines(), Level::Warn, &parts);
}
