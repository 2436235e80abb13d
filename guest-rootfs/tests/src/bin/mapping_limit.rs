// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Behind an IOMMU each page that the device may reach is a mapping of the server, which takes 65,535 of
//! them. The driver's own limits end before that, with `ENOSPC`. Without those limits, pages beyond are
//! not reached: an operation on them ends with `DMA_FAULT`, and all else goes on.
//!
//! The first page that is too much is the 65,536th, so this maps 256 MiB in pages of 4 KiB, twice.

use ringbar_client::{descriptors, Device, Error, Mapping, Queue, Rights, Window};
use ringbar_spec::ring::Status;
use ringbar_spec::setup::MAX_SEGMENTS;
use ringbar_tests::debugfs::{RINGBAR, UNUSED};
use ringbar_tests::modules::{reload_driver, restore_driver};
use ringbar_tests::{
    assert_device_works, carry_out, case, fork, has_iommu, on_debug_kernel, open, page_size, pages,
    run, Hammer, Skip,
};
use rustix::fs::{ftruncate, memfd_create, MemfdFlags};
use rustix::io::Errno;
use rustix::process::{setrlimit, Resource, Rlimit, Uid};
use rustix::thread::set_thread_res_uid;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;

/// Mappings of a server.
const MAPPINGS: usize = 65_535;
/// Bytes of all mappings, if each is a small page.
const ALL: usize = 256 << 20;
/// Pages of a window: the most that a process can show with one, if they are small.
const PAGES: usize = MAX_SEGMENTS as usize;
/// Step between two pages that the kernel gets one after the other. No divisor of [`PAGES`].
const STRIDE: usize = 1657;
/// Numbers of two users.
const USERS: [u32; 2] = [1001, 1002];

fn main() -> ExitCode {
    let ended = run();
    if check().is_ok() {
        restore_driver();
    }
    ended
}

/// Returns the reason if the limit cannot be reached here.
fn check() -> Result<(), Skip> {
    if !has_iommu() {
        return Err(Skip(
            "without an IOMMU all memory of the machine is one mapping".into(),
        ));
    }
    if on_debug_kernel() {
        return Err(Skip(
            "the debug kernel checks all DMA mappings at each new one, which takes too long for thousands".into(),
        ));
    }
    if MAPPINGS * page_size() > ALL {
        return Err(Skip("with larger pages there are fewer mappings".into()));
    }
    Ok(())
}

/// Memory that lies in as many pieces as it has pages.
struct Scattered(Mapping);

impl Scattered {
    fn new() -> Self {
        let file = memfd_create("scattered", MemfdFlags::CLOEXEC).expect("there is memory");
        ftruncate(&file, (PAGES * page_size()) as u64).expect("there is memory");
        let file = File::from(file);
        // The kernel gives the file a page at the first write. Neighbours in memory would be mapped as one.
        for number in 0..PAGES {
            let page = number * STRIDE % PAGES;
            let wrote = file.write_all_at(&[1], (page * page_size()) as u64);
            wrote.expect("a file in memory can be written");
        }
        let mapping = Mapping::new(Arc::new(file), 0, PAGES * page_size(), true);
        let mapping = mapping.expect("a file in memory can be mapped");
        let pages = (0..mapping.len()).step_by(page_size());
        pages.for_each(|page| assert_eq!(mapping.read::<u8>(page), 1));
        let frames = pages::frames(mapping.as_ptr().addr(), mapping.len());
        let joined = frames.windows(2).filter(|pair| pair[0] + 1 == pair[1]);
        // Long runs would be mapped as one.
        assert!(joined.count() < PAGES / 100);
        Self(mapping)
    }

    /// Opens a window on the first pages.
    fn open(&self, device: &Device, pages: usize) -> Result<Window, Error> {
        device.open_user_window(&self.0, 0..pages * page_size(), Rights::ReadWrite)
    }
}

/// Has the device read the last page of a window. Returns the status.
fn read_last_page(queue: &mut Queue, window: &Window, pages: usize) -> Status {
    let last = ((pages - 1) * page_size()) as u64;
    let crc = descriptors::crc32c(0, 0, (window.number(), last), page_size() as u32);
    Status(carry_out(queue, crc).status)
}

/// Opens windows until the driver allows no more of them, and has the device reach the last page of each.
/// Returns the windows and the number of their pages.
fn fill(device: &Device, memory: &Scattered) -> (Vec<Window>, usize) {
    let mut queue = device.create_queue(4).expect("a queue is free");
    let (mut windows, mut all, mut pages) = (Vec::new(), 0, PAGES);
    while pages > 0 {
        match memory.open(device, pages) {
            Ok(window) => {
                assert_eq!(
                    read_last_page(&mut queue, &window, pages),
                    Status::OK,
                    "after {all} pages"
                );
                windows.push(window);
                all += pages;
            }
            Err(error) => {
                assert_eq!(error.errno(), Some(Errno::NOSPC), "{error}");
                pages /= 2;
            }
        }
    }
    (windows, all)
}

#[case]
fn limits_of_the_driver_end_before_the_mappings_of_the_server() -> Result<(), Skip> {
    check()?;
    reload_driver("");
    let hammer = Hammer::start(open());
    let memory = Scattered::new();
    let users = USERS.map(|user| {
        let (mut ours, mut theirs) = UnixStream::pair().expect("there are sockets");
        let child = fork::start(|| {
            // Windows on memory of a process count, except for root.
            let most = Rlimit {
                current: None,
                maximum: None,
            };
            setrlimit(Resource::Memlock, most).expect("root may lock any amount");
            let user = Uid::from_raw(user);
            set_thread_res_uid(user, user, user).expect("root may become anyone");
            let (_windows, pages) = fill(&open(), &memory);
            theirs
                .write_all(&pages.to_ne_bytes())
                .expect("the parent waits");
            // Until the parent has seen all.
            (&theirs).read(&mut [0]).is_ok()
        });
        drop(theirs);
        let mut pages = [0; size_of::<usize>()];
        ours.read_exact(&mut pages)
            .expect("the child has filled its share");
        (child, ours, usize::from_ne_bytes(pages))
    });
    let all: usize = users.iter().map(|(_, _, pages)| pages).sum();
    println!("# {all} pages of two users");
    assert!(all < MAPPINGS && all > MAPPINGS * 9 / 10, "{all}");
    hammer.goes_on();
    for (child, mut ours, _) in users {
        // Not by closing it: the other child has a copy.
        ours.write_all(b"!").expect("the child waits");
        assert!(child.end().success());
    }
    hammer.finish();
    assert_device_works(&open());
    Ok(())
}

#[case]
fn page_beyond_the_mappings_of_the_server_is_a_fault_and_all_else_goes_on() -> Result<(), Skip> {
    check()?;
    reload_driver("user_bytes=0 device_bytes=0");
    let hammer = Hammer::start(open());
    let device = open();
    let mut queue = device.create_queue(4).expect("a queue is free");
    let memory = Scattered::new();
    let mut windows = Vec::new();
    let fault = loop {
        let window = memory
            .open(&device, PAGES)
            .expect("the driver has no limit");
        let status = read_last_page(&mut queue, &window, PAGES);
        windows.push(window);
        if status != Status::OK {
            break status;
        }
        assert!(
            windows.len() * PAGES <= MAPPINGS,
            "{} windows",
            windows.len()
        );
    };
    assert_eq!(fault, Status::DMA_FAULT);
    assert_eq!(windows.len(), MAPPINGS / PAGES + 1);
    assert!(
        RINGBAR.errors().contains("MEMORY_FAULT"),
        "{}",
        RINGBAR.errors()
    );
    // What was mapped before is reached.
    hammer.goes_on();
    for window in windows {
        window.close().expect("the window is open");
    }
    let window = memory.open(&device, PAGES).expect("there is room again");
    assert_eq!(read_last_page(&mut queue, &window, PAGES), Status::OK);
    window.close().expect("the window is open");
    hammer.finish();
    assert_device_works(&device);
    drop((queue, device));
    assert_eq!(RINGBAR.usage(), UNUSED);
    Ok(())
}
