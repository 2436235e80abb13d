// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Waits for completions: in a call, by poll and epoll on the file, by an eventfd.

use ringbar_client::{Device, Error, Queue};
use ringbar_spec::error::ErrorCode;
use ringbar_tests::status;
use ringbar_tests::{
    break_ring, case, interrupts, nop, open, ready_for, run, signalled, until, with_event, Epoll,
    Trigger, PATIENCE, READABLE, SHORT,
};
use ringbar_uapi::ioctl::Wait;
use rustix::event::{eventfd, EventfdFlags, PollFlags};
use rustix::io::Errno;
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::process::ExitCode;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Time for a thread to fall asleep. The case holds also if the thread has not.
const NAP: Duration = Duration::from_millis(50);
/// Time of a wait in which a thread that looked each millisecond would look hundreds of times.
const LONG: Duration = Duration::from_secs(1);
/// More sleeps than a wait needs that nothing wakes.
const MOST_SLEEPS: u64 = 20;

fn main() -> ExitCode {
    run()
}

fn submit(queue: &mut Queue, count: u32) {
    (0..count).for_each(|tag| queue.push(nop(tag)).unwrap());
    queue.submit();
}

fn take_all(queue: &mut Queue) -> usize {
    std::iter::from_fn(|| queue.pop().unwrap()).count()
}

/// Takes the completions of all descriptors in flight, without waiting in a call.
fn poll_out(queue: &mut Queue) {
    until("all completions", || {
        take_all(queue);
        queue.in_flight() == 0
    });
}

/// Starts a thread in WAIT until `count` completions were posted since the queue's start.
fn waiter(device: &Device, queue: &Queue, count: u32) -> JoinHandle<Result<(), Error>> {
    let mut wait = Wait {
        queue: queue.number(),
        completion_tail: count,
        timeout_ms: PATIENCE.as_millis() as u32,
        began: 0,
    };
    let device = device.clone();
    thread::spawn(move || device.wait(&mut wait))
}

/// Starts a thread in poll.
fn poller(device: &Device) -> JoinHandle<PollFlags> {
    let device = device.clone();
    thread::spawn(move || ready_for(&device, PATIENCE))
}

#[case]
fn sleeper_is_woken_by_the_completion() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let sleeper = waiter(&device, &queue, 1);
    thread::sleep(NAP);
    assert!(!sleeper.is_finished(), "nothing was submitted yet");
    submit(&mut queue, 1);
    sleeper.join().unwrap().expect("the sleeper is woken");
}

#[case]
fn wait_for_posted_completions_returns_at_once() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    submit(&mut queue, 3);
    queue.wait(3, PATIENCE).unwrap();
    for count in 0..=3 {
        let mut wait = Wait {
            queue: queue.number(),
            completion_tail: count,
            ..Default::default()
        };
        device.wait(&mut wait).expect("no time is needed");
        assert_eq!(wait.completion_tail, 3);
    }
}

#[case]
fn waiters_of_a_queue_wake_each_at_its_own_count() {
    let device = open();
    let mut queue = device.create_queue(8).unwrap();
    // The waiter for the next completion comes neither first nor last.
    let [third, first, second, again] = [3, 1, 2, 1].map(|count| waiter(&device, &queue, count));
    thread::sleep(NAP);
    submit(&mut queue, 1);
    first.join().unwrap().unwrap();
    again.join().unwrap().unwrap();
    thread::sleep(NAP);
    assert!(!second.is_finished() && !third.is_finished());
    submit(&mut queue, 1);
    second.join().unwrap().unwrap();
    thread::sleep(NAP);
    assert!(!third.is_finished());
    submit(&mut queue, 1);
    third.join().unwrap().unwrap();
}

#[case]
fn waiters_of_two_queues_of_a_file_wake_each_for_its_own() {
    let device = open();
    let [mut one, mut other] = [4, 4].map(|entries| device.create_queue(entries).unwrap());
    let of_one = waiter(&device, &one, 1);
    let of_other = waiter(&device, &other, 1);
    thread::sleep(NAP);
    submit(&mut other, 1);
    of_other.join().unwrap().unwrap();
    thread::sleep(NAP);
    assert!(!of_one.is_finished(), "woken for another queue");
    submit(&mut one, 1);
    of_one.join().unwrap().unwrap();
}

#[case]
fn poll_is_readable_while_completions_are_not_taken() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    assert_eq!(ready_for(&device, SHORT), PollFlags::empty());
    submit(&mut queue, 2);
    queue.wait(2, PATIENCE).unwrap();
    for taken in 0..2 {
        let ready = ready_for(&device, Duration::ZERO);
        assert_eq!(ready, READABLE, "{taken} were taken");
        queue.pop().unwrap().unwrap();
    }
    assert_eq!(ready_for(&device, SHORT), PollFlags::empty());
    submit(&mut queue, 1);
    assert_eq!(ready_for(&device, PATIENCE), READABLE);
}

#[case]
fn poll_reports_each_queue_of_the_file() {
    let device = open();
    let mut queues = [4, 4, 4].map(|entries| device.create_queue(entries).unwrap());
    for queue in &mut queues {
        let poller = poller(&device);
        thread::sleep(NAP);
        submit(queue, 1);
        assert_eq!(poller.join().unwrap(), READABLE);
        assert_eq!(take_all(queue), 1);
        assert_eq!(ready_for(&device, Duration::ZERO), PollFlags::empty());
    }
}

#[case]
fn poller_is_woken_by_the_completion() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    for _ in 0..10 {
        let poller = poller(&device);
        thread::sleep(Duration::from_millis(10));
        submit(&mut queue, 1);
        assert_eq!(poller.join().unwrap(), READABLE);
        assert_eq!(take_all(&mut queue), 1);
    }
}

#[case]
fn poller_and_waiter_of_a_queue_are_both_woken() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    // One is armed for the first completion, one for the second, in both orders.
    for count in [2, 4] {
        let (poller, waiter) = if count == 2 {
            let poller = poller(&device);
            thread::sleep(NAP);
            (poller, waiter(&device, &queue, count))
        } else {
            let waiter = waiter(&device, &queue, count);
            thread::sleep(NAP);
            (poller(&device), waiter)
        };
        thread::sleep(NAP);
        submit(&mut queue, 1);
        assert_eq!(poller.join().unwrap(), READABLE);
        assert!(!waiter.is_finished());
        submit(&mut queue, 1);
        waiter.join().unwrap().unwrap();
        poll_out(&mut queue);
    }
}

#[case]
fn epoll_is_readable_again_and_again() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let epoll = Epoll::on(&device, Trigger::Level);
    assert!(!epoll.tells(SHORT));
    for _ in 0..3 {
        submit(&mut queue, 1);
        assert!(epoll.tells(PATIENCE));
        assert!(epoll.tells(Duration::ZERO), "it was not taken yet");
        assert_eq!(take_all(&mut queue), 1);
        assert!(!epoll.tells(Duration::ZERO));
    }
}

#[case]
fn edge_triggered_epoll_reports_each_completion() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let epoll = Epoll::on(&device, Trigger::Edge);
    for _ in 0..10 {
        epoll.drain();
        assert_eq!(ready_for(&device, Duration::ZERO), PollFlags::empty());
        submit(&mut queue, 1);
        assert!(epoll.tells(PATIENCE));
        queue.wait(1, PATIENCE).unwrap();
        assert_eq!(take_all(&mut queue), 1);
    }
}

#[case]
fn epoll_reports_a_queue_that_is_created_later() {
    let device = open();
    let epoll = Epoll::on(&device, Trigger::Level);
    assert!(!epoll.tells(Duration::ZERO));
    let mut queue = device.create_queue(4).unwrap();
    submit(&mut queue, 1);
    assert!(epoll.tells(PATIENCE));
}

#[case]
fn poller_is_woken_by_a_queue_after_its_reset() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let poller = poller(&device);
    thread::sleep(NAP);
    queue.reset().unwrap();
    thread::sleep(NAP);
    assert!(!poller.is_finished(), "nothing was submitted yet");
    submit(&mut queue, 1);
    assert_eq!(poller.join().unwrap(), READABLE);
}

#[case]
fn edge_triggered_epoll_reports_completions_after_a_reset() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let epoll = Epoll::on(&device, Trigger::Edge);
    epoll.drain();
    queue.reset().unwrap();
    submit(&mut queue, 1);
    assert!(epoll.tells(PATIENCE));
}

#[case]
fn eventfd_is_signalled_when_armed() {
    let (mut queue, event) = with_event(&open());
    for _ in 0..10 {
        assert!(queue.arm(1).unwrap());
        submit(&mut queue, 1);
        assert!(signalled(&event, PATIENCE));
        assert_eq!(take_all(&mut queue), 1);
    }
}

#[case]
fn eventfd_is_signalled_at_the_armed_count() {
    let (mut queue, event) = with_event(&open());
    assert!(queue.arm(3).unwrap());
    submit(&mut queue, 2);
    queue.wait(2, PATIENCE).unwrap();
    // The interrupt of the call above signals, too: it is an interrupt of this queue.
    while signalled(&event, SHORT) {}
    submit(&mut queue, 1);
    assert!(signalled(&event, PATIENCE));
    assert_eq!(take_all(&mut queue), 3);
}

#[case]
fn eventfd_is_silent_unless_armed() {
    let (mut queue, event) = with_event(&open());
    submit(&mut queue, 4);
    poll_out(&mut queue);
    assert!(!signalled(&event, SHORT));
}

#[case]
fn removed_eventfd_is_silent() {
    let (mut queue, event) = with_event(&open());
    queue.set_event_fd(None).unwrap();
    assert!(queue.arm(1).unwrap());
    submit(&mut queue, 1);
    poll_out(&mut queue);
    assert!(!signalled(&event, SHORT));
}

/// Returns the number that the kernel gives to a new eventfd: the lowest that none has.
fn next_number() -> u64 {
    let event = eventfd(0, EventfdFlags::empty()).expect("an eventfd");
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", event.as_raw_fd()));
    let info = info.expect("the kernel shows it");
    let number = info
        .lines()
        .find_map(|line| line.strip_prefix("eventfd-id:"));
    let number = number.expect("eventfds have numbers").trim();
    number.parse().expect("a number")
}

#[case]
fn eventfd_is_given_back_with_its_queue() {
    let before = next_number();

    drop(with_event(&open()));

    // The kernel clears closed files away later.
    until("the number is free", || next_number() == before);
}

#[case]
fn eventfd_of_each_queue_is_its_own() {
    let device = open();
    let (mut one, of_one) = with_event(&device);
    let (mut other, of_other) = with_event(&device);
    assert!(one.arm(1).unwrap() && other.arm(1).unwrap());
    submit(&mut other, 1);
    assert!(signalled(&of_other, PATIENCE));
    assert!(!signalled(&of_one, SHORT), "nothing was completed there");
    submit(&mut one, 1);
    assert!(signalled(&of_one, PATIENCE));
}

#[case]
fn file_other_than_an_eventfd_is_refused() {
    let device = open();
    let queue = device.create_queue(4).unwrap();
    let refused = queue.set_event_fd(Some(device.as_fd()));
    assert_eq!(refused.unwrap_err().errno(), Some(Errno::INVAL));
}

#[case]
fn waiters_are_woken_when_the_queue_stops() {
    let device = open();
    let (mut queue, event) = with_event(&device);
    let in_call = waiter(&device, &queue, 1);
    let in_poll = poller(&device);
    assert!(queue.arm(1).unwrap());
    thread::sleep(NAP);
    break_ring(&queue);
    let refused = in_call.join().unwrap().unwrap_err();
    assert_eq!(refused.errno(), Some(Errno::IO), "{refused}");
    let ready = in_poll.join().unwrap();
    assert!(ready.contains(PollFlags::ERR), "{ready:?}");
    assert!(signalled(&event, PATIENCE));
    match queue.wait(1, PATIENCE) {
        Err(Error::QueueStopped {
            code: ErrorCode::BAD_TAIL,
        }) => {}
        other => panic!("{other:?}"),
    }
}

#[case]
fn waiter_of_a_destroyed_queue_gets_enxio() {
    let device = open();
    let queue = device.create_queue(4).expect("a queue is free");
    let in_call = waiter(&device, &queue, 1);
    thread::sleep(NAP);

    device.destroy_queue(queue.number()).expect("it is ours");

    let refused = in_call
        .join()
        .expect("no panic")
        .expect_err("no completion");
    assert_eq!(refused.errno(), Some(Errno::NXIO), "{refused}");
}

/// Returns how often this thread has gone to sleep.
fn sleeps() -> u64 {
    let thread = rustix::thread::gettid().as_raw_nonzero().get();
    let count = status::field(thread.unsigned_abs(), "voluntary_ctxt_switches:");
    count.parse().expect("a number")
}

#[case]
fn waiter_does_not_look_again_and_again() {
    let mut queue = open().create_queue(4).expect("a queue is free");
    let before = sleeps();

    let waited = queue.wait(1, LONG);

    assert!(matches!(waited, Err(Error::TimedOut)), "{waited:?}");
    // It may also have slept for a lock.
    let slept = sleeps() - before;
    assert!(slept < MOST_SLEEPS, "it went to sleep {slept} times");
}

#[case]
fn interrupts_are_counted_by_the_kernel() {
    let mut queue = open().create_queue(4).unwrap();
    let before = interrupts();
    assert!(queue.arm(1).unwrap());
    submit(&mut queue, 1);
    // The device posts the completion before its interrupt.
    until("an interrupt", || interrupts() > before);
}

#[case]
fn completions_without_a_waiter_raise_no_interrupt() {
    let mut queue = open().create_queue(64).unwrap();
    let before = interrupts();
    for _ in 0..20 {
        submit(&mut queue, 50);
        poll_out(&mut queue);
    }
    thread::sleep(SHORT);
    assert_eq!(interrupts(), before);
}
