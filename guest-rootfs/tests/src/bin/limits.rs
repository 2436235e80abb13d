// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Limits per user and for all users of a device. Each case loads the module with its own limits.

use ringbar_client::{Buffer, Device, Error, MemoryKind, Part, Policy, Rights};
use ringbar_tests::debugfs::{RINGBAR, UNUSED};
use ringbar_tests::modules::{reload_driver as load, restore_driver};
use ringbar_tests::{case, fork, open, page_size, run};
use rustix::io::Errno;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit, Uid};
use rustix::thread::set_thread_res_uid;
use std::process::ExitCode;

const OTHER: u32 = 65534;

fn main() -> ExitCode {
    let ended = run();
    restore_driver();
    ended
}

#[track_caller]
fn full<T>(result: Result<T, Error>) {
    let error = result.err().expect("the limit is reached");
    assert_eq!(error.errno(), Some(Errno::NOSPC), "{error}");
}

fn buffer(device: &Device, size: usize) -> Result<Buffer, Error> {
    device.create_buffer(size, Rights::ReadWrite)
}

/// Runs `body` with a file that another user has opened. Fails unless `body` returns true.
#[track_caller]
fn as_another_user(body: impl FnOnce(Device) -> bool) {
    let status = fork::run(|| {
        let other = Uid::from_raw(OTHER);
        set_thread_res_uid(other, other, other).expect("root may become anyone");
        body(open())
    });
    assert!(status.success(), "{status}");
}

#[case]
fn queues_of_a_user_are_limited() {
    load("user_queues=2");
    let device = open();
    let first = device.create_queue(2).unwrap();
    let _second = device.create_queue(2).unwrap();
    full(device.create_queue(2));
    full(device.create_kernel_queue(2));
    first.close().unwrap();
    let _third = device.create_queue(2).unwrap();
    full(device.create_queue(2));
}

#[case]
fn windows_of_a_user_are_limited() {
    load("user_windows=3");
    let device = open();
    let first = buffer(&device, page_size()).unwrap();
    let _second = device
        .create_device_memory(Part::Lazy, page_size(), Rights::Read)
        .unwrap();
    let open = || device.open_window(&[first.part(0..8)], Rights::Read);
    let window = open().unwrap();
    full(open());
    full(buffer(&device, page_size()));
    full(device.create_device_memory(Part::Lazy, page_size(), Rights::Read));
    window.close().unwrap();
    open().unwrap();
    full(open());
    // Closes its second window, too.
    first.close().unwrap();
    let third = buffer(&device, page_size()).unwrap();
    device
        .open_window(&[third.part(0..8)], Rights::Read)
        .unwrap();
    full(buffer(&device, page_size()));
}

#[case]
fn buffers_of_every_kind_count_together() {
    load("user_buffers=4");
    let device = open();
    let memory = |kind| device.create_memory(kind, page_size());
    let contiguous = MemoryKind::Contiguous(Policy::Cached);
    let range = || device.create_device_memory(Part::Uncached, page_size(), Rights::Read);
    let first = buffer(&device, page_size()).unwrap();
    let second = range().unwrap();
    let _third = memory(MemoryKind::Vmalloc).unwrap();
    let _fourth = memory(contiguous).unwrap();
    let all_full = || {
        full(buffer(&device, page_size()));
        full(range());
        full(memory(MemoryKind::Vmalloc));
        full(memory(contiguous));
    };
    all_full();
    first.close().unwrap();
    let _fifth = range().unwrap();
    all_full();
    second.close().unwrap();
    let _sixth = memory(MemoryKind::Vmalloc).unwrap();
    all_full();
}

#[case]
fn bytes_of_buffers_memories_and_rings_count_together() {
    load(&format!("user_bytes={}", 10 * page_size()));
    let device = open();
    let memory = |pages| device.create_memory(MemoryKind::Vmalloc, pages * page_size());
    let range =
        |pages| device.create_device_memory(Part::Uncached, pages * page_size(), Rights::Read);
    // Two pages of ten.
    let queue = device.create_queue(2).unwrap();
    // One page each, however few bytes the process asks for.
    let first = buffer(&device, 1).unwrap();
    let _second = memory(3).unwrap();
    let third = range(3).unwrap();
    // One page is left.
    full(device.create_queue(2));
    full(buffer(&device, page_size() + 1));
    full(memory(2));
    full(range(2));
    let _fourth = buffer(&device, page_size()).unwrap();
    full(buffer(&device, 1));
    third.close().unwrap();
    full(memory(4));
    let _fifth = memory(3).unwrap();
    first.close().unwrap();
    queue.close().unwrap();
    full(range(4));
    range(3).unwrap();
    full(buffer(&device, 1));
}

#[case]
fn files_of_a_user_share_the_limit_and_give_back_when_closed() {
    load("user_buffers=2");
    let (first, second) = (open(), open());
    let _kept = buffer(&first, page_size()).unwrap();
    buffer(&second, page_size()).unwrap();
    full(buffer(&first, page_size()));
    full(buffer(&second, page_size()));
    drop(second);
    buffer(&first, page_size()).unwrap();
    full(buffer(&open(), page_size()));
}

#[case]
fn another_user_has_limits_of_its_own() {
    let bytes = 8 * page_size();
    load(&format!(
        "user_buffers=2 user_queues=1 user_windows=3 user_bytes={bytes}"
    ));
    let device = open();
    let take_all = |device: &Device| {
        let taken = (
            buffer(device, 3 * page_size()).unwrap(),
            buffer(device, 3 * page_size()).unwrap(),
            device.create_queue(2).unwrap(),
        );
        full(buffer(device, page_size()));
        full(device.create_queue(2));
        taken
    };
    let _taken = take_all(&device);
    as_another_user(|other| {
        take_all(&other);
        true
    });
    // The other user's objects never counted for this user.
    full(buffer(&device, page_size()));
}

#[case]
fn user_is_the_opener_of_the_file_not_the_caller() {
    load("user_buffers=1");
    let device = open();
    let _taken = buffer(&device, page_size()).unwrap();
    as_another_user(|other| {
        full(buffer(&device, page_size()));
        buffer(&other, page_size()).is_ok()
    });
}

#[case]
fn queues_of_a_device_are_limited() {
    load("device_queues=3 user_queues=2");
    let device = open();
    let first = device.create_queue(2).unwrap();
    let _second = device.create_queue(2).unwrap();
    full(device.create_queue(2));
    as_another_user(|other| {
        let _third = other.create_queue(2).unwrap();
        full(other.create_queue(2));
        true
    });
    first.close().unwrap();
    as_another_user(|other| {
        let _queues = [(); 2].map(|()| other.create_queue(2).unwrap());
        full(other.create_queue(2));
        true
    });
}

#[case]
fn windows_of_a_device_are_limited() {
    load("device_windows=4 user_windows=3");
    let device = open();
    let first = buffer(&device, page_size()).unwrap();
    let opened = [(); 2].map(|()| device.open_window(&[first.part(0..8)], Rights::Read));
    let [one, _two] = opened.map(|window| window.unwrap());
    as_another_user(|other| {
        let own = buffer(&other, page_size()).unwrap();
        full(other.open_window(&[own.part(0..8)], Rights::Read));
        true
    });
    one.close().unwrap();
    as_another_user(|other| {
        let own = buffer(&other, page_size()).unwrap();
        let open = || other.open_window(&[own.part(0..8)], Rights::Read);
        open().unwrap();
        full(open());
        true
    });
}

#[case]
fn buffers_of_a_device_are_limited() {
    load("device_buffers=3 user_buffers=2");
    let device = open();
    let _buffers = [(); 2].map(|()| buffer(&device, page_size()).unwrap());
    as_another_user(|other| {
        other
            .create_memory(MemoryKind::Vmalloc, page_size())
            .unwrap();
        full(buffer(&other, page_size()));
        full(other.create_memory(MemoryKind::Vmalloc, page_size()));
        full(other.create_device_memory(Part::Lazy, page_size(), Rights::Read));
        true
    });
}

#[case]
fn bytes_of_a_device_are_limited() {
    load(&format!("device_bytes={}", 8 * page_size()));
    let device = open();
    let first = buffer(&device, 5 * page_size()).unwrap();
    as_another_user(|other| {
        let _queue = other.create_queue(2).unwrap();
        full(buffer(&other, page_size() + 1));
        let _buffer = buffer(&other, page_size()).unwrap();
        full(buffer(&other, 1));
        full(other.create_queue(2));
        true
    });
    first.close().unwrap();
    buffer(&device, 8 * page_size()).unwrap();
    full(buffer(&device, 1));
}

#[case]
fn refused_objects_are_not_counted() {
    load("user_bytes=1073741824 user_windows=100 user_buffers=0");
    let device = open();
    assert_eq!(RINGBAR.usage(), UNUSED);
    // More memory than this part has.
    full(device.create_device_memory(Part::Lazy, 256 << 20, Rights::Read));
    // An invalid length and an invalid number of entries.
    buffer(&device, 0).unwrap_err();
    device.create_queue(3).unwrap_err();
    assert_eq!(RINGBAR.usage(), UNUSED);
    let own = buffer(&device, page_size()).unwrap();
    device
        .open_window(&[own.part(0..2 * page_size() as u64)], Rights::Read)
        .unwrap_err();
    // Each of its rings has a page.
    let _queue = device.create_queue(2).unwrap();
    let amount = format!("queues 1 windows 1 buffers 1 bytes {}", 3 * page_size());
    assert_eq!(
        RINGBAR.usage(),
        format!("device {amount}\nuser 0 {amount}\n")
    );
}

#[case]
fn unmappable_objects_are_given_back() {
    load("");
    // Open in this process, too. Otherwise the end of the child would give everything back.
    let device = open();
    let status = fork::run(|| {
        let no_more = Rlimit {
            current: Some(0),
            ..getrlimit(Resource::As)
        };
        setrlimit(Resource::As, no_more).unwrap();
        let refused = [
            buffer(&device, page_size()).map(drop),
            device
                .create_device_memory(Part::Lazy, page_size(), Rights::Read)
                .map(drop),
        ];
        refused.map(|answer| answer.unwrap_err().errno()) == [Some(Errno::NOMEM); 2]
    });
    assert!(status.success(), "{status}");
    assert_eq!(RINGBAR.usage(), UNUSED);
}

#[case]
fn limit_0_means_no_limit() {
    load(
        "user_queues=0 user_windows=0 user_buffers=0 user_bytes=0 device_buffers=0 device_bytes=0",
    );
    let device = open();
    let info = device.info().unwrap();
    for _ in 0..info.queues {
        device.create_queue(2).unwrap();
    }
    // The device itself has no more queues.
    full(device.create_queue(2));
    let mut windows = 0;
    let refusal = loop {
        match buffer(&device, page_size()) {
            Ok(_) => windows += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refusal.errno(), Some(Errno::NOSPC), "{refusal}");
    // More than the default limit allows.
    assert!(windows > 512, "{windows}");
}
