// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Windows on the process's own memory: their bytes, refusals, counts, and the release of their
//! pages.

mod raw;
mod zone;

use raw::{file, open_at, RawMemory};
use ringbar_client::{descriptors, Buffer, Error, Mapping, Part, Queue, Rights};
use ringbar_spec::ring::{Completion, Descriptor, Status};
use ringbar_spec::setup::MAX_SEGMENTS;
use ringbar_tests::debugfs::RINGBAR;
use ringbar_tests::{
    carry_out, case, expect_bytes, fork, has_iommu, on_debug_kernel, open, page_size, parameter,
    pattern_bytes, pinned_by_us, pinned_pages, refuses_user_windows, run, succeed, until, Case,
    PciFunction, Skip, PATIENCE,
};
use ringbar_uapi::ioctl::MAX_USER_WINDOW;
use rustix::io::Errno;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use rustix::thread::{set_thread_res_uid, Uid};
use std::io::{Read, Write};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::OnceLock;

/// Longest copy in bytes: `LENGTH_LIMIT` of the device.
const LONGEST: usize = 16 << 20;
const UNTOUCHED: u8 = 0xa5;

/// Pages pinned when the program began: a device that was lost earlier keeps some.
static BEFORE: OnceLock<i64> = OnceLock::new();

fn main() -> ExitCode {
    BEFORE.get_or_init(pinned_pages);
    run()
}

/// Makes a case that needs memory which process and device see at the same time.
fn shared(name: &'static str, body: fn()) -> Case {
    Case::new(name, move || if_shared(body))
}

fn if_shared(body: impl FnOnce()) -> Result<(), Skip> {
    if let Some(reason) = refuses_user_windows() {
        return Err(Skip(reason.into()));
    }
    body();
    assert_eq!(pinned(), 0, "pages are still pinned");
    Ok(())
}

/// Returns how many more pages are pinned than when the program began.
fn pinned() -> i64 {
    pinned_pages() - BEFORE.get().expect("the program has begun")
}

/// Makes memory of the process, filled with [`UNTOUCHED`].
fn memory(length: usize) -> Mapping {
    let memory = Mapping::anonymous(length).unwrap();
    memory.write_bytes(0, &vec![UNTOUCHED; length]);
    memory
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, errno: Errno) {
    let error = result.err().expect("the call is refused");
    assert_eq!(error.errno(), Some(errno), "{error}");
}

fn pattern(window: u16, offset: usize, length: usize, seed: u64) -> Descriptor {
    descriptors::pattern(0, seed, (window, offset as u64), length as u32)
}

fn copy(source: (u16, usize), destination: (u16, usize), length: usize) -> Descriptor {
    descriptors::copy(
        0,
        (source.0, source.1 as u64),
        (destination.0, destination.1 as u64),
        length as u32,
    )
}

#[track_caller]
fn ends_with(queue: &mut Queue, descriptor: Descriptor, status: Status) {
    let completion = carry_out(queue, descriptor);
    assert_eq!(Status(completion.status), status, "{descriptor:?}");
}

#[case(shared)]
fn device_writes_just_the_bytes_of_the_window() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let memory = memory(5 * page_size());
    for range in [
        0..5 * page_size(),
        1..2,
        page_size() - 1..page_size() + 1,
        page_size() - 3..3 * page_size() + 7,
        page_size()..2 * page_size(),
    ] {
        let window = device
            .open_user_window(&memory, range.clone(), Rights::Write)
            .unwrap();
        succeed(&mut queue, pattern(window.number(), 0, range.len(), 7));
        let end = pattern(window.number(), range.len() - 1, 2, 7);
        ends_with(&mut queue, end, Status::OUT_OF_BOUNDS);
        window.close().unwrap();

        let mut expected = vec![UNTOUCHED; memory.len()];
        expected[range.clone()].copy_from_slice(&pattern_bytes(7, range.len()));
        let seen = memory.read_bytes(0, memory.len());
        expect_bytes(format_args!("{range:?}"), &seen, &expected);
        memory.write_bytes(0, &vec![UNTOUCHED; memory.len()]);
    }
}

#[case(shared)]
fn copies_at_any_alignment_arrive() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let seed = parameter::seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let (source, target) = (memory(40 * page_size()), memory(40 * page_size()));
    let bytes = pattern_bytes(seed, source.len());
    source.write_bytes(0, &bytes);
    let mut expected = vec![UNTOUCHED; target.len()];
    for _ in 0..100 {
        let length = random.usize(1..20 * page_size());
        let from = random.usize(0..source.len() - length);
        let to = random.usize(0..target.len() - length);
        // Both windows begin at a random byte before the copied ones.
        let (skip_from, skip_to) = (random.usize(0..=from), random.usize(0..=to));
        let range = skip_from..from + length;
        let readable = device.open_user_window(&source, range, Rights::Read);
        let range = skip_to..to + length;
        let writable = device.open_user_window(&target, range, Rights::Write);
        let (readable, writable) = (readable.unwrap(), writable.unwrap());
        let copy = copy(
            (readable.number(), from - skip_from),
            (writable.number(), to - skip_to),
            length,
        );
        succeed(&mut queue, copy);
        readable.close().unwrap();
        writable.close().unwrap();
        expected[to..to + length].copy_from_slice(&bytes[from..from + length]);
        let seen = target.read_bytes(0, target.len());
        expect_bytes(format_args!("{copy:?}"), &seen, &expected);
    }
}

#[case(shared)]
fn longest_copy_arrives() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let at = 1000;
    let range = at..at + LONGEST;
    let (source, target) = (memory(LONGEST + page_size()), memory(LONGEST + page_size()));
    let bytes = pattern_bytes(3, LONGEST);
    source.write_bytes(at, &bytes);
    let readable = device.open_user_window(&source, range.clone(), Rights::Read);
    let writable = device.open_user_window(&target, range, Rights::Write);
    let (readable, writable) = (readable.unwrap(), writable.unwrap());
    let longest = copy((readable.number(), 0), (writable.number(), 0), LONGEST);
    succeed(&mut queue, longest);
    expect_bytes("the copy", &target.read_bytes(at, LONGEST), &bytes);
    for (offset, length) in [(0, at), (at + LONGEST, page_size() - at)] {
        assert_eq!(target.read_bytes(offset, length), vec![UNTOUCHED; length]);
    }
    readable.close().unwrap();
    writable.close().unwrap();
}

#[case(shared)]
fn scattered_pages_are_one_window_in_their_order() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    // More pieces than the driver describes together with other windows, each of one page.
    let pages = 300;
    let bytes = pattern_bytes(5, pages * page_size());
    let file = file(&bytes);
    let order: Vec<_> = (0..pages as u64).rev().collect();
    let backwards = RawMemory::pages(&file, &order);
    let window = backwards.open(&device, Rights::Read).unwrap();
    let seen = memory(pages * page_size());
    let target = device.open_user_window(&seen, 0..pages * page_size(), Rights::Write);
    let target = target.unwrap();
    let all = copy(
        (window.number(), 0),
        (target.number(), 0),
        pages * page_size(),
    );
    succeed(&mut queue, all);
    let expected: Vec<u8> = bytes.rchunks(page_size()).flatten().copied().collect();
    expect_bytes("the pages", &seen.read_bytes(0, seen.len()), &expected);
    window.close().unwrap();
    target.close().unwrap();
}

#[case]
fn memory_in_too_many_pieces_is_refused() -> Result<(), Skip> {
    if on_debug_kernel() {
        return Err(Skip(
            "the debug kernel checks all DMA mappings at each new one, which takes too long for thousands".into(),
        ));
    }
    if_shared(too_many_pieces)
}

fn too_many_pieces() {
    const MOST: usize = MAX_SEGMENTS as usize;
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let file = file(&pattern_bytes(9, page_size()));
    // Neighbours in the window are not neighbours in memory, so each page is a piece.
    let most = RawMemory::pages(&file, &[0; MOST]);
    let window = most.open(&device, Rights::Read).unwrap();
    let seen = memory(page_size());
    let target = device.open_user_window(&seen, 0..page_size(), Rights::Write);
    let target = target.unwrap();
    let last = copy(
        (window.number(), (MOST - 1) * page_size()),
        (target.number(), 0),
        page_size(),
    );
    succeed(&mut queue, last);
    assert_eq!(
        seen.read_bytes(0, page_size()),
        pattern_bytes(9, page_size())
    );
    window.close().unwrap();
    target.close().unwrap();

    let more = RawMemory::pages(&file, &[0; MOST + 1]);
    match more.open(&device, Rights::Read) {
        // An IOMMU joins the pages to one piece.
        Ok(window) if has_iommu() => window.close().unwrap(),
        other => refused(other, Errno::TOOBIG),
    }
}

#[case(shared)]
fn device_writes_to_mapped_file_reach_the_file() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let file = file(&vec![UNTOUCHED; 3 * page_size()]);
    let mapping = Mapping::new(file.try_clone().unwrap().into(), 0, 3 * page_size(), true).unwrap();
    let window = device.open_user_window(&mapping, 5..2 * page_size(), Rights::Write);
    let window = window.unwrap();
    succeed(
        &mut queue,
        pattern(window.number(), 0, 2 * page_size() - 5, 11),
    );
    window.close().unwrap();
    drop(mapping);
    let mut expected = vec![UNTOUCHED; 3 * page_size()];
    expected[5..2 * page_size()].copy_from_slice(&pattern_bytes(11, 2 * page_size() - 5));
    let mut seen = Vec::new();
    (&file).read_to_end(&mut seen).unwrap();
    assert!(seen == expected);
}

#[case(shared)]
fn window_has_no_more_rights_than_asked_for() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let memory = memory(page_size());
    let open = |rights| {
        device
            .open_user_window(&memory, 0..page_size(), rights)
            .unwrap()
    };
    let windows = [Rights::Read, Rights::Write, Rights::ReadWrite].map(open);
    let [read, write, both] = windows.each_ref().map(|window| window.number());
    ends_with(&mut queue, pattern(read, 0, 8, 1), Status::NOT_WRITABLE);
    let from = copy((write, 0), (both, 8), 8);
    ends_with(&mut queue, from, Status::NOT_READABLE);
    succeed(&mut queue, pattern(write, 0, 8, 1));
    succeed(&mut queue, copy((both, 0), (write, 16), 8));
    succeed(&mut queue, copy((read, 0), (both, 24), 8));
    let expected = pattern_bytes(1, 8);
    for (offset, expected) in [
        (0, &expected[..]),
        (8, &[UNTOUCHED; 8]),
        (16, &expected),
        (24, &expected),
    ] {
        assert_eq!(memory.read_bytes(offset, 8), expected);
    }
    for window in windows {
        window.close().unwrap();
    }
}

#[case(shared)]
fn read_only_memory_gets_no_writable_window() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let memory = RawMemory::new(2 * page_size());
    memory.fill(UNTOUCHED);
    memory.protect();
    for rights in [Rights::Write, Rights::ReadWrite] {
        refused(memory.open(&device, rights), Errno::FAULT);
    }
    let window = memory.open(&device, Rights::Read).unwrap();
    let seen = device
        .create_buffer(2 * page_size(), Rights::Write)
        .unwrap();
    let out = copy((window.number(), 0), (seen.window(), 0), 2 * page_size());
    succeed(&mut queue, out);
    assert_eq!(
        seen.mapping().read_bytes(0, 2 * page_size()),
        vec![UNTOUCHED; 2 * page_size()]
    );
    window.close().unwrap();
}

#[case(shared)]
fn invalid_lengths_and_addresses_are_refused() {
    let device = open();
    let memory = RawMemory::new(page_size());
    let at = memory.address();
    for (address, length, errno) in [
        (at, 0, Errno::INVAL),
        (at, MAX_USER_WINDOW + 1, Errno::INVAL),
        (at, u64::MAX, Errno::INVAL),
        (u64::MAX, 2, Errno::INVAL),
        (u64::MAX - page_size() as u64, 1, Errno::INVAL),
        // The first page of all addresses, and the kernel's half.
        (0, 1, Errno::FAULT),
        (1 << 63, 1, Errno::FAULT),
        (u64::MAX << 47, page_size() as u64, Errno::FAULT),
    ] {
        let result = open_at(&device, address, length, Rights::ReadWrite);
        let error = result.expect_err("no memory is there");
        assert_eq!(error.errno(), Some(errno), "{length:#x} at {address:#x}");
    }
}

#[case(shared)]
fn range_with_a_hole_is_refused_and_nothing_stays_pinned() {
    let device = open();
    let mut memory = RawMemory::new(600 * page_size());
    let (address, length) = (memory.address(), memory.length());
    memory.cut(599 * page_size());
    let result = open_at(&device, address, length, Rights::Write);
    refused(result, Errno::FAULT);
    assert_eq!(pinned(), 0);
    assert_eq!(pinned_by_us(), 0);
    memory
        .open(&device, Rights::Write)
        .unwrap()
        .close()
        .unwrap();
}

#[case(shared)]
fn memory_mapped_by_a_driver_is_refused() {
    let device = open();
    let buffer = device
        .create_buffer(page_size(), Rights::ReadWrite)
        .unwrap();
    let ours = device.create_device_memory(Part::WriteCombining, page_size(), Rights::ReadWrite);
    let ours = ours.unwrap();
    for mapping in [buffer.mapping(), ours.mapping()] {
        mapping.read::<u8>(0);
        for rights in [Rights::Read, Rights::Write] {
            let result = device.open_user_window(mapping, 0..page_size(), rights);
            refused(result, Errno::FAULT);
        }
    }
}

#[case(shared)]
fn pages_count_against_the_limit_of_locked_memory() {
    let device = open();
    let memory = memory(8 * page_size());
    let open = |range| device.open_user_window(&memory, range, Rights::Write);
    // Two pages, by one byte in each.
    let first = open(page_size() - 1..page_size() + 1).unwrap();
    assert_eq!(pinned_by_us(), 2);
    let second = open(0..8 * page_size()).unwrap();
    assert_eq!(pinned_by_us(), 10);
    first.close().unwrap();
    second.close().unwrap();
    assert_eq!(pinned_by_us(), 0);

    let status = fork::run(|| {
        let old = getrlimit(Resource::Memlock);
        let limit = Rlimit {
            current: Some(4 * page_size() as u64),
            ..old
        };
        setrlimit(Resource::Memlock, limit).unwrap();
        // Root may lock any amount.
        open(0..5 * page_size()).unwrap().close().unwrap();
        let nobody = Uid::from_raw(65534);
        set_thread_res_uid(nobody, nobody, nobody).unwrap();
        refused(open(0..5 * page_size()), Errno::NOMEM);
        let most = open(0..4 * page_size()).unwrap();
        refused(open(0..1), Errno::NOMEM);
        most.close().unwrap();
        open(0..1).unwrap().close().unwrap();
        true
    });
    assert!(status.success(), "{status}");
}

#[case(shared)]
fn bytes_count_for_the_user_until_the_window_is_closed() {
    let device = open();
    let before = RINGBAR.usage();
    assert!(before.contains("bytes 0\n"), "{before}");
    let memory = memory(3 * page_size());
    let window = device
        .open_user_window(&memory, 1..2 * page_size() + 1, Rights::Read)
        .unwrap();
    let bytes = 3 * page_size();
    let expected = format!("queues 0 windows 1 buffers 0 bytes {bytes}\n");
    assert_eq!(
        RINGBAR.usage(),
        format!("device {expected}user 0 {expected}")
    );
    window.close().unwrap();
    assert_eq!(RINGBAR.usage(), before);
    // More than the default limit of a user.
    let result = open_at(&device, page_size() as u64, 200 << 20, Rights::Read);
    refused(result, Errno::NOSPC);
    assert_eq!(RINGBAR.usage(), before);
}

#[case(shared)]
fn unmapped_memory_stays_in_the_window() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let memory = RawMemory::new(3 * page_size());
    memory.fill(UNTOUCHED);
    let window = memory.open(&device, Rights::ReadWrite).unwrap();
    memory.replace();
    let seen = device
        .create_buffer(3 * page_size(), Rights::Write)
        .unwrap();
    let out = copy((window.number(), 0), (seen.window(), 0), 3 * page_size());
    succeed(&mut queue, out);
    assert_eq!(
        seen.mapping().read_bytes(0, 3 * page_size()),
        vec![UNTOUCHED; 3 * page_size()]
    );
    // The memory that is now at the same addresses is not the window's.
    succeed(&mut queue, pattern(window.number(), 0, 3 * page_size(), 13));
    assert_eq!(memory.read(), vec![0; 3 * page_size()]);
    window.close().unwrap();
}

/// Copies that take the device longer than it takes to close a window.
const COPIES: u32 = 48;

fn submit_long_copies(queue: &mut Queue, source: u16, target: u16) {
    for tag in 0..COPIES {
        let long = copy((source, 0), (target, 0), LONGEST);
        queue.push(Descriptor { tag, ..long }).unwrap();
    }
    queue.submit();
}

#[case]
fn pinned_pages_leave_the_movable_zone() -> Result<(), Skip> {
    let zone = zone::movable().ok_or(Skip("this kernel has no zone Movable".into()))?;
    if_shared(|| pages_leave_the_zone(&zone))
}

/// Pinned pages cannot be moved. Left in the zone, they would block its memory for as long as they
/// are pinned.
fn pages_leave_the_zone(zone: &Range<u64>) {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let memory = memory(64 * page_size());
    let movable = |memory| {
        zone::frames(memory)
            .iter()
            .filter(|it| zone.contains(it))
            .count()
    };
    assert_ne!(
        movable(&memory),
        0,
        "the kernel took no page from the zone Movable"
    );
    let window = device.open_user_window(&memory, 0..64 * page_size(), Rights::ReadWrite);
    let window = window.unwrap();
    assert_eq!(movable(&memory), 0);
    succeed(&mut queue, pattern(window.number(), 0, 64 * page_size(), 5));
    let (seen, expected) = (
        memory.read_bytes(0, 64 * page_size()),
        pattern_bytes(5, 64 * page_size()),
    );
    expect_bytes("the memory", &seen, &expected);
    window.close().unwrap();
}

#[case(shared)]
fn parent_keeps_its_memory_over_a_fork() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let memory = memory(2 * page_size());
    let window = device
        .open_user_window(&memory, 0..2 * page_size(), Rights::ReadWrite)
        .unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let child = fork::start(|| {
        (&theirs).read_exact(&mut [0]).unwrap();
        // Device and parent have written meanwhile, but only to the parent's pages.
        memory.read_bytes(0, 2 * page_size()) == vec![UNTOUCHED; 2 * page_size()]
    });
    drop(theirs);
    // Before the device writes. If the child shared the page, this write would give the parent a
    // new page, and the window would show the old one.
    memory.write_bytes(0, &vec![1; page_size()]);
    succeed(
        &mut queue,
        pattern(window.number(), 8, 2 * page_size() - 8, 17),
    );
    let mut expected = vec![1; 8];
    expected.extend(pattern_bytes(17, 2 * page_size() - 8));
    expect_bytes(
        "the memory",
        &memory.read_bytes(0, 2 * page_size()),
        &expected,
    );
    ours.write_all(b"!").unwrap();
    assert!(child.end().success());
    window.close().unwrap();
}

#[case(shared)]
fn window_closed_during_a_long_copy_is_not_written_afterwards() {
    let device = open();
    let mut queue = device.create_queue(64).unwrap();
    let (source, target) = (memory(LONGEST), memory(LONGEST));
    let readable = device.open_user_window(&source, 0..LONGEST, Rights::Read);
    let readable = readable.unwrap();
    let mut broken_off = 0;
    for round in 0..10 {
        let writable = device.open_user_window(&target, 0..LONGEST, Rights::Write);
        let writable = writable.unwrap();
        submit_long_copies(&mut queue, readable.number(), writable.number());
        if round % 2 == 0 {
            queue.wait(1, PATIENCE).unwrap();
        }
        writable.close().unwrap();

        // From here on only the process may write the pages.
        target.write_bytes(0, &vec![round; LONGEST]);
        queue.wait(COPIES, PATIENCE).unwrap();
        let completions: Vec<Completion> = (0..COPIES)
            .map(|_| queue.pop().unwrap().expect("it was waited for"))
            .collect();
        let statuses = completions.iter().map(|done| Status(done.status));
        let rest: Vec<_> = statuses
            .skip_while(|status| *status == Status::OK)
            .collect();
        broken_off += usize::from(rest.first() == Some(&Status::ABORTED));
        let closed = rest.iter().skip_while(|status| **status == Status::ABORTED);
        assert!(
            closed
                .into_iter()
                .all(|status| *status == Status::BAD_WINDOW),
            "{rest:?}"
        );
        let bytes = target.read_bytes(0, LONGEST);
        assert!(bytes.iter().all(|byte| *byte == round));
    }
    readable.close().unwrap();
    println!("# {broken_off} of 10 windows closed during a copy");
    assert_ne!(broken_off, 0);
}

#[case(shared)]
fn killed_process_leaves_nothing_pinned() {
    for _ in 0..5 {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let child = fork::start(|| {
            let device = open();
            let mut queue = device.create_queue(64).unwrap();
            let memory = memory(LONGEST);
            let window = device
                .open_user_window(&memory, 0..LONGEST, Rights::ReadWrite)
                .unwrap();
            submit_long_copies(&mut queue, window.number(), window.number());
            theirs.write_all(b"!").unwrap();
            (&theirs).read_exact(&mut [0]).is_ok()
        });
        ours.read_exact(&mut [0]).unwrap();
        assert!(pinned() > 0);
        child.kill();
        child.end();
        until("all pages are given back", || pinned() == 0);
    }
    // The device still works.
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let buffer = device.create_buffer(page_size(), Rights::Write).unwrap();
    write_and_see(&mut queue, &buffer);
}

fn write_and_see(queue: &mut Queue, buffer: &Buffer) {
    succeed(queue, pattern(buffer.window(), 0, page_size(), 19));
    assert_eq!(
        buffer.mapping().read_bytes(0, page_size()),
        pattern_bytes(19, page_size())
    );
}

#[case(shared)]
fn reset_ends_the_window_and_pages_go_with_its_close() {
    let device = open();
    let memory = memory(page_size());
    let [first, second] = [(); 2].map(|()| {
        let window = device.open_user_window(&memory, 0..page_size(), Rights::ReadWrite);
        window.unwrap()
    });
    PciFunction::under_test().reset();
    first.close().unwrap();
    assert_eq!(pinned(), 1);
    // Windows and queues made from now on work, in the same file.
    let mut queue = device.create_queue(4).unwrap();
    let window = device.open_user_window(&memory, 0..page_size(), Rights::Write);
    let window = window.unwrap();
    succeed(&mut queue, pattern(window.number(), 0, page_size(), 23));
    assert_eq!(
        memory.read_bytes(0, page_size()),
        pattern_bytes(23, page_size())
    );
    window.close().unwrap();
    drop((queue, second, device));
}

#[case(shared)]
fn unbind_gives_pages_back_and_takes_none_from_the_process() {
    let device = open();
    let mut queue = device.create_queue(64).unwrap();
    let memory = memory(LONGEST);
    let window = device
        .open_user_window(&memory, 0..LONGEST, Rights::ReadWrite)
        .unwrap();
    submit_long_copies(&mut queue, window.number(), window.number());
    let function = PciFunction::under_test();
    let unbound = function.unbind();
    assert_eq!(pinned(), 0);
    assert_eq!(pinned_by_us(), 0);
    memory.write_bytes(0, &vec![1; page_size()]);
    refused(device.close_window(window.number().into()), Errno::NODEV);
    let result = device.open_user_window(&memory, 0..page_size(), Rights::Read);
    refused(result, Errno::NODEV);
    assert_eq!(pinned(), 0);
    drop(unbound);
    drop(queue);
}

#[case]
fn memory_that_process_and_device_cannot_share_is_refused() -> Result<(), Skip> {
    if refuses_user_windows().is_none() {
        return Err(Skip(
            "they can here; KERNEL_ARGS=swiotlb=force has the kernel bounce it, and COHERENT=0 of arm64 has the device \
             bypass the caches"
                .into(),
        ));
    }
    let device = open();
    let memory = memory(4 * page_size());
    for rights in [Rights::Read, Rights::Write, Rights::ReadWrite] {
        for range in [0..4 * page_size(), 1..2] {
            let result = device.open_user_window(&memory, range, rights);
            refused(result, Errno::OPNOTSUPP);
        }
    }
    assert_eq!(pinned(), 0);
    assert_eq!(pinned_by_us(), 0);
    // A process uses buffers of the driver in this case.
    let mut queue = device.create_queue(4).unwrap();
    let buffer = device.create_buffer(page_size(), Rights::Write).unwrap();
    write_and_see(&mut queue, &buffer);
    Ok(())
}
