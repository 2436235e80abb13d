// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Resets from outside, without the driver and while it uses the device: of the function (FLR) and
//! of its bus through sysfs, and of its bus behind the kernel's back.

mod behind;
mod bus;
mod load;

use load::{refused, Load, COPY, ENTRIES, LONG};
use ringbar_client::{Error, KernelQueue, Mapping, Queue, Rights};
use ringbar_spec::ring::{Completion, Status, MAX_ENTRIES};
use ringbar_spec::wake::Word;
use ringbar_tests::{
    assert_device_works, case, copy, expect_bytes, nop, open, page_size, pattern_bytes, poller,
    ready_for, run, seed, succeed, until, PciFunction, PATIENCE, SHORT,
};
use ringbar_uapi::ioctl::Wait;
use rustix::event::{eventfd, EventfdFlags, PollFlags};
use rustix::io::Errno;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

fn main() -> ExitCode {
    run()
}

/// Returns the reset generation of the device.
fn generation() -> u32 {
    let queue = open().create_queue(2).unwrap();
    queue.word(Word::Generation)
}

#[case]
fn reset_without_driver_steps_the_generation() {
    let function = PciFunction::under_test();
    let first = generation();
    drop(function.unbind());
    let second = generation();
    let unbound = function.unbind();
    function.reset();
    drop(unbound);
    let resets_of_the_driver = second - first;
    assert_eq!(generation() - second, resets_of_the_driver + 1);
}

#[case]
fn device_works_after_a_reset_without_driver() {
    let function = PciFunction::under_test();
    let unbound = function.unbind();
    function.reset();
    drop(unbound);
    assert_device_works(&open());
}

#[case]
fn sleeper_gets_eio() {
    let load = Load::start();
    let sleeper = load.sleeper();
    thread::sleep(SHORT);
    PciFunction::under_test().reset();
    refused(sleeper.join().unwrap());
}

#[case]
fn batch_of_the_kernel_gets_eio() {
    let load = Load::start();
    let mut queue: KernelQueue = load.device.create_kernel_queue(ENTRIES).unwrap();
    let batch = vec![copy(&load.buffers[0], &load.buffers[1], COPY); MAX_ENTRIES as usize];
    let caller = thread::spawn(move || {
        let mut completions = vec![Completion::default(); batch.len()];
        queue.execute(&batch, &mut completions, LONG)
    });
    thread::sleep(Duration::from_millis(20));
    PciFunction::under_test().reset();
    refused(caller.join().unwrap());
}

#[case]
fn poller_gets_pollerr() {
    let device = open();
    let _queue = device.create_queue(ENTRIES).unwrap();
    let poller = poller(&device);
    thread::sleep(SHORT);
    PciFunction::under_test().reset();
    assert_eq!(poller.join().unwrap(), PollFlags::ERR);
    assert_eq!(ready_for(&device, Duration::ZERO), PollFlags::ERR);
}

#[case]
fn eventfd_is_signalled() {
    let device = open();
    let queue = device.create_queue(ENTRIES).unwrap();
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
    queue.set_event_fd(Some(event.as_fd())).unwrap();
    PciFunction::under_test().reset();
    until("the eventfd is signalled", || {
        rustix::io::read(&event, &mut [0; 8]).is_ok()
    });
}

#[case]
fn calls_on_older_objects_get_eio() {
    let load = Load::start();
    let mut kernel = load.device.create_kernel_queue(ENTRIES).unwrap();
    PciFunction::under_test().reset();
    let number = load.queues[0].number();
    let mut wait = Wait {
        queue: number,
        completion_tail: 1,
        timeout_ms: LONG.as_millis() as u32,
        began: 0,
    };
    refused(load.device.wait(&mut wait));
    refused(load.device.reset_queue(number));
    refused(kernel.execute(&[nop(0)], &mut [Completion::default()], LONG));
    let part = load.buffers[0].part(0..page_size() as u64);
    refused(load.device.open_window(&[part], Rights::Read));
}

#[case]
fn client_sees_the_reset_in_its_pages() {
    let mut load = Load::start();
    PciFunction::under_test().reset();
    let queue = &mut load.queues[0];
    let outcome = queue.wait(ENTRIES, LONG);
    assert!(matches!(outcome, Err(Error::Reset { .. })), "{outcome:?}");
}

#[case]
fn new_file_works_at_once() {
    let _load = Load::start();
    PciFunction::under_test().reset();
    assert_device_works(&open());
}

#[case]
fn sleeper_of_a_new_queue_is_woken() {
    let _load = Load::start();
    PciFunction::under_test().reset();
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let mut wait = Wait {
        queue: queue.number(),
        completion_tail: 1,
        timeout_ms: PATIENCE.as_millis() as u32,
        began: 0,
    };
    let sleeper = thread::spawn(move || device.wait(&mut wait));
    thread::sleep(SHORT);
    queue.push(nop(1)).unwrap();
    queue.submit();
    sleeper.join().unwrap().expect("the sleeper is woken");
}

#[case]
fn same_file_works_with_new_objects() {
    let load = Load::start();
    PciFunction::under_test().reset();
    assert_device_works(&load.device);
}

#[case]
fn numbers_stay_with_the_file_that_had_them() {
    let load = Load::start();
    let old: Vec<u32> = load.queues.iter().map(Queue::number).collect();
    let windows = [load.buffers[0].window(), load.buffers[1].window()];
    PciFunction::under_test().reset();
    let device = open();
    let free = device.info().unwrap().queues as usize - old.len();
    for _ in 0..free {
        let queue = device.create_queue(2).unwrap();
        assert!(!old.contains(&queue.number()));
        let buffer = device.create_buffer(page_size(), Rights::Read).unwrap();
        assert!(!windows.contains(&buffer.window()));
    }
    let errno = device.create_queue(2).expect_err("all are taken").errno();
    assert_eq!(errno, Some(Errno::NOSPC));
}

#[case]
fn numbers_are_free_again_when_the_file_closes() {
    let load = Load::start();
    PciFunction::under_test().reset();
    drop(load);
    let device = open();
    let all = device.info().unwrap().queues;
    let queues: Vec<Queue> = (0..all).map(|_| device.create_queue(2).unwrap()).collect();
    assert_eq!(queues.len(), all as usize);
}

#[case]
fn older_objects_can_be_given_back() {
    let load = Load::start();
    let offsets = load.queues[0].offsets();
    let device = load.device.clone();
    PciFunction::under_test().reset();
    load.queues
        .into_iter()
        .for_each(|queue| queue.close().unwrap());
    load.buffers
        .into_iter()
        .for_each(|buffer| buffer.close().unwrap());
    let mapped = Mapping::new(device.file().clone(), offsets.doorbell, page_size(), true);
    assert_eq!(mapped.unwrap_err().errno(), Some(Errno::PERM));
    assert_device_works(&device);
}

#[case]
fn bytes_of_a_new_file_stay_whole_when_the_old_one_closes() {
    let load = Load::start();
    PciFunction::under_test().reset();
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let buffers =
        [Rights::Read, Rights::Write].map(|rights| device.create_buffer(COPY, rights).unwrap());
    let bytes = pattern_bytes(seed(), COPY);
    buffers[0].mapping().write_bytes(0, &bytes);
    drop(load);
    succeed(&mut queue, copy(&buffers[0], &buffers[1], COPY));
    let seen = buffers[1].mapping().read_bytes(0, COPY);
    expect_bytes("the copy", &seen, &bytes);
}

#[case]
fn repeated_resets_under_load_lose_nothing() {
    let function = PciFunction::under_test();
    for round in 0..10 {
        let load = Load::start();
        let sleeper = load.sleeper();
        function.reset();
        refused(sleeper.join().unwrap());
        let mut queue = load.device.create_queue(2).unwrap();
        queue.push(nop(round)).unwrap();
        let completion = queue.run(PATIENCE).unwrap();
        assert_eq!(
            (completion.tag, Status(completion.status)),
            (round, Status::OK)
        );
    }
}
