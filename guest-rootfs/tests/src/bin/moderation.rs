// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Interrupts that the device holds back: fewer interrupts, and no waiter sleeps forever.

use ringbar_client::{Device, Mapping, Queue};
use ringbar_spec::regs::INTERRUPT_MODERATION;
use ringbar_tests::{
    case, interrupts, nop, open, page_size, ready_for, run, signalled, until, PATIENCE, READABLE,
};
use rustix::event::{eventfd, EventfdFlags};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const ENTRIES: u32 = 64;
/// Long, so that only a count ends it earlier.
const LONG: Duration = Duration::from_millis(60);

fn main() -> ExitCode {
    run()
}

fn submit(queue: &mut Queue, count: u32) {
    (0..count).for_each(|tag| queue.push(nop(tag)).unwrap());
    queue.submit();
}

/// Takes `count` completions, without waiting in a call.
fn take(queue: &mut Queue, count: u32) {
    for _ in 0..count {
        until("a completion", || queue.pop().unwrap().is_some());
    }
}

/// Completions whose interrupts are counted.
const COMPLETIONS: u32 = 320;

/// Has one completion requested and posted.
fn complete_one(queue: &mut Queue) {
    assert!(queue.arm(1).unwrap());
    submit(queue, 1);
    take(queue, 1);
}

/// Returns the number of interrupts for completions that come one by one, each after the interrupt
/// of the one before: a slow guest would see several interrupts as one.
fn interrupts_one_by_one(queue: &mut Queue) -> u64 {
    let before = interrupts();
    for number in 1..=u64::from(COMPLETIONS) {
        complete_one(queue);
        until("its interrupt", || interrupts() - before >= number);
    }
    interrupts() - before
}

#[case]
fn interrupts_are_fewer_with_a_count() {
    const COUNT: u16 = 16;
    let mut queue = open().create_queue(ENTRIES).unwrap();
    let all = interrupts_one_by_one(&mut queue);
    queue.moderate_interrupts(COUNT, LONG);
    let (before, begun) = (interrupts(), Instant::now());
    (0..COMPLETIONS).for_each(|_| complete_one(&mut queue));
    // Lets the last interrupts arrive.
    std::thread::sleep(2 * LONG);
    let (held, took) = (interrupts() - before, begun.elapsed());
    println!("# {COMPLETIONS} completions: {all} interrupts, held back for {COUNT} of them {held}");
    // The time ends a count early. Twice as often, as guest and device have clocks of their own.
    let early = 2 * took.as_millis() / LONG.as_millis();
    let most = u128::from(COMPLETIONS / u32::from(COUNT)) + early;
    assert!(held > 0);
    assert!(u128::from(held) <= most, "{held} interrupts in {took:?}");
}

/// Makes a queue that holds each interrupt back for a while, or for more completions than the test
/// posts.
fn moderated(device: &Device) -> Queue {
    let queue = device.create_queue(ENTRIES).unwrap();
    queue.moderate_interrupts(1000, Duration::from_millis(2));
    queue
}

#[case]
fn last_completion_is_announced_to_a_waiter() {
    let mut queue = moderated(&open());
    for count in [1, 2, 7, 50].into_iter().cycle().take(40) {
        submit(&mut queue, count);
        queue.wait(count, PATIENCE).unwrap();
        take(&mut queue, count);
    }
}

#[case]
fn last_completion_is_announced_to_a_poller() {
    let device = open();
    let mut queue = moderated(&device);
    for count in [1, 2, 7, 50].into_iter().cycle().take(40) {
        submit(&mut queue, count);
        assert_eq!(ready_for(&device, PATIENCE), READABLE);
        take(&mut queue, count);
    }
}

#[case]
fn last_completion_is_announced_by_an_eventfd() {
    let mut queue = moderated(&open());
    let event = event(&queue);
    for count in [1, 2, 7, 50].into_iter().cycle().take(40) {
        // Like a real program: arms for the next completion after it found none.
        let mut left = count;
        submit(&mut queue, count);
        while left > 0 {
            if queue.pop().unwrap().is_some() {
                left -= 1;
            } else if queue.arm(1).unwrap() {
                assert!(signalled(&event, PATIENCE));
            }
        }
    }
}

fn event(queue: &Queue) -> OwnedFd {
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
    queue.set_event_fd(Some(event.as_fd())).unwrap();
    event
}

#[case]
fn end_of_moderation_releases_held_interrupts() {
    let mut queue = open().create_queue(ENTRIES).unwrap();
    let event = event(&queue);
    for _ in 0..10 {
        queue.moderate_interrupts(0, LONG);
        assert!(queue.arm(1).unwrap());
        submit(&mut queue, 1);
        take(&mut queue, 1);
        queue.moderate_interrupts(0, Duration::ZERO);
        assert!(signalled(&event, PATIENCE));
    }
}

#[case]
fn queue_holds_nothing_back_after_a_reset_or_for_another_owner() {
    let moderation = |queue: &Queue| {
        let file = queue.device().file().clone();
        let page = Mapping::new(file, queue.offsets().kick, page_size(), true).unwrap();
        page.read::<u32>(INTERRUPT_MODERATION::INFO.offset % page_size())
    };
    let mut queue = open().create_queue(ENTRIES).unwrap();
    queue.moderate_interrupts(7, Duration::from_micros(500));
    assert_eq!(moderation(&queue), 500 << 16 | 7);
    queue.reset().unwrap();
    assert_eq!(moderation(&queue), 0);

    queue.moderate_interrupts(7, LONG);
    let number = queue.number();
    queue.close().unwrap();
    let queue = open().create_queue(ENTRIES).unwrap();
    assert_eq!(queue.number(), number);
    assert_eq!(moderation(&queue), 0);
}
