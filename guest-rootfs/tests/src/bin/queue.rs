// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Rings and interrupts: order, wrap-around, batches, and sleeping until a completion arrives.

use ringbar_spec::ring::{Descriptor, Opcode, Status};
use ringbar_tests::{open, ready_for, run, PATIENCE, READABLE};
use rustix::event::PollFlags;
use std::process::ExitCode;
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    run(&[
        (
            "completions_come_in_order_with_their_tags",
            completions_come_in_order,
        ),
        ("rings_wrap_around", rings_wrap_around),
        ("full_ring_completes_as_a_batch", full_ring_completes),
        ("sleeper_is_woken_by_the_interrupt", sleeper_is_woken),
        (
            "interrupts_are_counted_by_the_kernel",
            interrupts_are_counted,
        ),
        (
            "poll_is_readable_while_completions_are_not_taken",
            poll_is_level_triggered,
        ),
        ("queue_starts_anew_for_the_next_file", queue_starts_anew),
    ])
}

fn nop(tag: u32) -> Descriptor {
    Descriptor {
        opcode: Opcode::NOP.0,
        tag,
        ..Default::default()
    }
}

fn completions_come_in_order() {
    let mut queue = open().create_queue(8).unwrap();
    (100..108).for_each(|tag| queue.push(nop(tag)).unwrap());
    queue.submit();
    queue.wait(8, PATIENCE).unwrap();
    let tags: Vec<u32> = std::iter::from_fn(|| queue.pop().unwrap())
        .map(|done| done.tag)
        .collect();
    assert_eq!(tags, (100..108).collect::<Vec<_>>());
}

fn rings_wrap_around() {
    let mut queue = open().create_queue(4).unwrap();
    for tag in 0..100 {
        queue.push(nop(tag)).unwrap();
        let completion = queue.run(PATIENCE).unwrap();
        assert_eq!(
            (completion.tag, Status(completion.status)),
            (tag, Status::OK)
        );
    }
}

fn full_ring_completes() {
    let device = open();
    let entries = device.info().unwrap().max_entries;
    let mut queue = device.create_queue(entries).unwrap();
    for round in 0..3 {
        (0..entries).for_each(|tag| queue.push(nop(round * entries + tag)).unwrap());
        assert!(queue.push(nop(0)).is_err(), "the ring is full");
        queue.submit();
        queue.wait(entries, PATIENCE).unwrap();
        let taken = std::iter::from_fn(|| queue.pop().unwrap()).count();
        assert_eq!(taken, entries as usize);
    }
}

fn sleeper_is_woken() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let number = queue.number();
    let waiter = device.clone();
    let sleeper = std::thread::spawn(move || {
        let mut wait = ringbar_uapi::ioctl::Wait {
            queue: number,
            completion_tail: 1,
            timeout_ms: PATIENCE.as_millis() as u32,
            reserved: 0,
        };
        waiter.wait(&mut wait)
    });
    std::thread::sleep(Duration::from_millis(50));
    assert!(!sleeper.is_finished(), "nothing was submitted yet");
    queue.push(nop(1)).unwrap();
    queue.submit();
    sleeper.join().unwrap().expect("the sleeper is woken");
}

fn interrupts_are_counted() {
    let mut queue = open().create_queue(4).unwrap();
    let before = interrupts();
    queue.push(nop(1)).unwrap();
    assert!(queue.arm(1).unwrap(), "nothing was submitted yet");
    queue.run(PATIENCE).unwrap();
    // The completion is there before its interrupt is.
    let deadline = Instant::now() + PATIENCE;
    while interrupts() == before {
        assert!(
            Instant::now() < deadline,
            "no interrupt of the driver was counted"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn poll_is_level_triggered() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    assert_eq!(ready_for(&device, Duration::ZERO), PollFlags::empty());
    queue.push(nop(1)).unwrap();
    queue.submit();
    assert_eq!(ready_for(&device, PATIENCE), READABLE);
    assert_eq!(
        ready_for(&device, Duration::ZERO),
        READABLE,
        "nothing was taken yet"
    );
    queue.wait(1, PATIENCE).unwrap();
    queue.pop().unwrap().unwrap();
    assert_eq!(ready_for(&device, Duration::ZERO), PollFlags::empty());
}

fn queue_starts_anew() {
    let mut queue = open().create_queue(8).unwrap();
    (0..5).for_each(|tag| queue.push(nop(tag)).unwrap());
    queue.submit();
    queue.wait(5, PATIENCE).unwrap();
    drop(queue);
    let mut queue = open().create_queue(2).unwrap();
    queue.push(nop(77)).unwrap();
    assert_eq!(queue.run(PATIENCE).unwrap().tag, 77);
}

/// Interrupts that the kernel has counted for the driver, over all processors.
fn interrupts() -> u64 {
    let table = std::fs::read_to_string("/proc/interrupts").expect("procfs is mounted");
    table
        .lines()
        .filter(|line| line.ends_with("ringbar"))
        .flat_map(|line| {
            line.split_whitespace()
                .skip(1)
                .map_while(|word| word.parse::<u64>().ok())
        })
        .sum()
}
