// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Programs that a process executes in its own place, or in a child's by `vfork`.

use crate::all_is_freed;
use crate::estate::{counts, fill, Estate, MAPPINGS};
use ringbar_client::{descriptors, Device, Mapping, Rights};
use ringbar_tests::debugfs::RINGBAR;
use ringbar_tests::{
    arguments, case, fork, open, page_size, pinned_by_us, refuses_user_windows, sharing, succeed,
};
use ringbar_tests::{Skip, NODE};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Role of a program that finds a file of the device at its standard input.
pub(crate) const HEIR: &str = "heir";
/// Role of a program that finds the objects of the one before it freed.
pub(crate) const SUCCESSOR: &str = "successor";
/// Role of a program that finds nothing of the device.
pub(crate) const STRANGER: &str = "stranger";
/// Byte in the memory of a program, which a window on it shows.
const MARK: u8 = 0x3c;

#[case]
fn program_of_a_vfork_child_leaves_the_mappings_to_the_parent() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let buffer = device
        .create_buffer(page_size(), Rights::ReadWrite)
        .unwrap();
    let (count, usage) = (RINGBAR.count(), RINGBAR.usage());

    let child = sharing::execute(
        // The child still has the parent's memory.
        || buffer.mapping().write(0, MARK),
        c"/proc/self/exe",
        &[c"--as", c"stranger"],
    );

    assert_eq!(buffer.mapping().read::<u8>(0), MARK);
    fill(&mut queue, buffer.window());
    assert_eq!(
        buffer.mapping().read_bytes(0, page_size()),
        vec![0xff; page_size()]
    );
    let status = child.end();
    assert!(status.success(), "{status}");
    assert_eq!((RINGBAR.count(), RINGBAR.usage()), (count, usage));
    fill(&mut queue, buffer.window());
}

#[case]
fn file_that_exec_leaves_open_keeps_its_objects() {
    let status = fork::run(|| {
        let device = open();
        let estate = Estate::make(&device);
        let _mapped = (estate.map(&device), estate.map_queue(&device));
        assert_eq!(mapped().len() as u64, MAPPINGS);
        replace_with_heir(&device, &estate, 0)
    });
    assert!(status.success(), "{status}");
    all_is_freed();
}

#[case]
fn window_shows_the_memory_of_the_program_before_exec() -> Result<(), Skip> {
    if let Some(reason) = refuses_user_windows() {
        return Err(Skip(reason.into()));
    }
    let status = fork::run(|| {
        let device = open();
        let estate = Estate::make(&device);
        let memory = Mapping::anonymous(page_size()).unwrap();
        memory.write_bytes(0, &vec![MARK; page_size()]);
        let window = device.open_user_window(&memory, 0..page_size(), Rights::Read);
        let window = window.unwrap().number();
        assert_eq!(pinned_by_us(), 1);
        replace_with_heir(&device, &estate, window)
    });
    assert!(status.success(), "{status}");
    all_is_freed();
    Ok(())
}

/// Executes this program as the [`HEIR`] of an estate and of a window on memory of this process, 0
/// for none. The file is its standard input. All other descriptors have `O_CLOEXEC`.
fn replace_with_heir(device: &Device, estate: &Estate, window: u16) -> bool {
    let file = device.file().try_clone().unwrap();
    let words = estate.words().map(|word| word.to_string());
    let error = Command::new("/proc/self/exe")
        .args([arguments::AS, HEIR, &window.to_string()])
        .args(words)
        .stdin(Stdio::from(file))
        .exec();
    panic!("cannot execute: {error}");
}

/// Plays the [`HEIR`]: has the file and its objects, and none of the mappings.
pub(crate) fn inherit(words: &[String]) {
    let words: Vec<u64> = words.iter().map(|word| word.parse().unwrap()).collect();
    let (window, words) = words.split_first().expect("a window comes first");
    let estate = Estate::from_words(words.try_into().expect("an estate"));
    let file = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let device = Device::from_file(file.into()).unwrap();
    assert_eq!(mapped(), Vec::<String>::new());
    assert_eq!(RINGBAR.count(), 0);
    if *window == 0 {
        assert!(RINGBAR.usage().contains(&counts()), "{}", RINGBAR.usage());
        estate.work(&device);
    } else {
        read_through(&device, &estate, (*window).try_into().unwrap());
    }
}

/// Copies the old program's memory through its window. It is pinned, and no longer counts for the
/// process.
fn read_through(device: &Device, estate: &Estate, window: u16) {
    assert_eq!(pinned_by_us(), 0);
    let mut queue = estate.map_queue(device);
    let copy = descriptors::copy(0, (window, 0), (estate.window, 0), page_size() as u32);
    succeed(&mut queue, copy);
    assert_eq!(
        estate.map(device).read_bytes(0, page_size()),
        vec![MARK; page_size()]
    );
}

#[case]
fn file_that_exec_closes_frees_its_objects() {
    let status = fork::run(|| {
        let device = open();
        let estate = Estate::make(&device);
        let _mapped = (estate.map(&device), estate.map_queue(&device));
        assert_eq!(mapped().len() as u64, MAPPINGS);
        replace_with_successor(&estate)
    });
    assert!(status.success(), "{status}");
    all_is_freed();
}

/// Executes this program as the [`SUCCESSOR`] of an estate.
fn replace_with_successor(estate: &Estate) -> bool {
    let words = estate.words().map(|word| word.to_string());
    let error = Command::new("/proc/self/exe")
        .args([arguments::AS, SUCCESSOR])
        .args(words)
        .exec();
    panic!("cannot execute: {error}");
}

/// Plays the [`SUCCESSOR`]: the numbers of the old program's queue and window are free again.
pub(crate) fn succeed_to(words: &[String]) {
    find_nothing();
    all_is_freed();
    let words: Vec<u64> = words.iter().map(|word| word.parse().unwrap()).collect();
    let device = open();
    let estate = Estate::make(&device);
    assert_eq!(words, estate.words());
    estate.work(&device);
}

/// Plays the [`STRANGER`]: has neither files nor mappings of the device.
pub(crate) fn find_nothing() {
    assert_eq!(mapped(), Vec::<String>::new());
    let files = fs::read_dir("/proc/self/fd").expect("procfs is mounted");
    let mut targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    assert!(!targets.any(|target| target == Path::new(NODE)));
}

/// Returns the lines of this process's mappings of the device.
fn mapped() -> Vec<String> {
    let maps = fs::read_to_string("/proc/self/maps").expect("procfs is mounted");
    let lines = maps.lines().filter(|line| line.contains(NODE));
    lines.map(str::to_owned).collect()
}
