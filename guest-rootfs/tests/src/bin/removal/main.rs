// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The driver leaves the device while a process uses it.

mod during_reset;
mod unplugged;
mod withheld;

use ringbar_client::{Part, Rights};
use ringbar_tests::{
    arguments, assert_device_works, case, fork, nop, open, page_size, ready_for, run, succeed,
    PciFunction, NODE, PATIENCE,
};
use ringbar_uapi::ioctl::Wait;
use rustix::event::PollFlags;
use rustix::io::Errno;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

fn main() -> ExitCode {
    if let Some(words) = arguments::role() {
        touch_when_told(&words.concat());
        return ExitCode::SUCCESS;
    }
    run()
}

/// Plays the role of a child: maps a region, reports it, waits for a byte, touches the region.
fn touch_when_told(kind: &str) {
    let device = open();
    let touch: Box<dyn Fn() -> u8> = match kind {
        "registers" => {
            let registers = device.map_public_registers().unwrap();
            Box::new(move || registers.read(0))
        }
        "buffer" => {
            let buffer = device.create_buffer(page_size(), Rights::Read).unwrap();
            Box::new(move || buffer.mapping().read(0))
        }
        _ => {
            let memory = device
                .create_device_memory(Part::Uncached, page_size(), Rights::Read)
                .unwrap();
            Box::new(move || memory.mapping().read(0))
        }
    };
    touch();
    println!("mapped");
    std::io::stdin().read_exact(&mut [0]).unwrap();
    touch();
}

/// Starts a process that has mapped a region and touches it when it gets a byte.
fn toucher(kind: &str) -> Child {
    let mut child = Command::new("/proc/self/exe")
        .args([arguments::AS, kind])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can start itself");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "mapped\n");
    child
}

#[case]
fn register_mapping_raises_sigbus_after_unbind() {
    touch_after_unbind("registers");
}

#[case]
fn buffer_mapping_raises_sigbus_after_unbind() {
    touch_after_unbind("buffer");
}

#[case]
fn device_memory_mapping_raises_sigbus_after_unbind() {
    touch_after_unbind("memory");
}

fn touch_after_unbind(kind: &str) {
    let function = PciFunction::under_test();
    let mut child = toucher(kind);
    let unbound = function.unbind();
    child.stdin.take().unwrap().write_all(b"!").unwrap();
    let status = child.wait().unwrap();
    drop(unbound);
    assert_eq!(status.signal(), Some(fork::SIGBUS), "{status}");
}

#[case]
fn mapping_works_without_unbind() {
    let mut child = toucher("buffer");
    child.stdin.take().unwrap().write_all(b"!").unwrap();
    assert!(child.wait().unwrap().success());
}

#[case]
fn calls_return_enodev_after_unbind() {
    let function = PciFunction::under_test();
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let unbound = function.unbind();
    let info = device.info();
    let reset = queue.reset();
    let create = device.create_buffer(page_size(), Rights::Read);
    drop(unbound);
    assert_eq!(info.unwrap_err().errno(), Some(Errno::NODEV));
    assert_eq!(reset.unwrap_err().errno(), Some(Errno::NODEV));
    assert_eq!(create.unwrap_err().errno(), Some(Errno::NODEV));
    // The old file stays without a device, although a driver is bound again.
    assert_eq!(device.info().unwrap_err().errno(), Some(Errno::NODEV));
}

#[case]
fn mmap_returns_enodev_after_unbind() {
    let function = PciFunction::under_test();
    let device = open();
    let unbound = function.unbind();
    let mapped = device.map_public_registers();
    drop(unbound);
    assert_eq!(mapped.unwrap_err().errno(), Some(Errno::NODEV));
}

#[case]
fn sleeper_wakes_with_enodev_at_unbind() {
    let function = PciFunction::under_test();
    let device = open();
    let queue = device.create_queue(4).unwrap();
    let mut wait = Wait {
        queue: queue.number(),
        completion_tail: 1,
        timeout_ms: 10 * PATIENCE.as_millis() as u32,
        began: 0,
    };
    let sleeper = std::thread::spawn(move || device.wait(&mut wait));
    std::thread::sleep(Duration::from_millis(50));
    let unbound = function.unbind();
    let woken = sleeper.join().unwrap();
    drop(unbound);
    assert_eq!(woken.unwrap_err().errno(), Some(Errno::NODEV));
}

#[case]
fn poller_hangs_up_at_unbind() {
    let function = PciFunction::under_test();
    let device = open();
    let poller = device.clone();
    let poller = std::thread::spawn(move || ready_for(&poller, PATIENCE));
    std::thread::sleep(Duration::from_millis(50));
    let unbound = function.unbind();
    let woken = poller.join().unwrap();
    drop(unbound);
    assert_eq!(woken, PollFlags::HUP | PollFlags::ERR);
    assert_eq!(
        ready_for(&device, Duration::ZERO),
        PollFlags::HUP | PollFlags::ERR
    );
}

#[case]
fn node_disappears_at_unbind_and_returns_at_bind() {
    let function = PciFunction::under_test();
    let unbound = function.unbind();
    let gone = !Path::new(NODE).exists();
    drop(unbound);
    assert!(gone);
    assert!(Path::new(NODE).exists());
}

#[case]
fn device_works_again_after_bind() {
    let function = PciFunction::under_test();
    let before = open();
    let queue_before = before.create_queue(4).unwrap();
    drop(function.unbind());

    assert_device_works(&open());
    // The unbind destroyed the old file's queue. Its close must not destroy the new queue of that
    // number.
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    drop((queue_before, before));
    succeed(&mut queue, nop(5));
}

#[case]
fn module_in_use_cannot_be_removed() {
    let device = open();
    let nonblocking = 0o4000;
    let removed = rustix::system::delete_module(c"ringbar", nonblocking);
    assert_eq!(removed, Err(Errno::WOULDBLOCK));
    drop(device);
}
