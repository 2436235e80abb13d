// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `WAIT` among signals.

use crate::raw;
use ringbar_tests::debugger::Traced;
use ringbar_tests::signals::{until_in_ioctl, until_stopped, Handler, Timer, SIGCONT, SIGSTOP};
use ringbar_tests::{case, fork, nop, open, Freezer, Skip};
use ringbar_uapi::ioctl::Wait;
use rustix::io::Errno;
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(30);
const TIMEOUT: Duration = Duration::from_millis(1000);

/// The argument of a call for the first completion of a queue.
fn first_of(queue: u32) -> Wait {
    Wait {
        queue,
        completion_tail: 1,
        timeout_ms: TIMEOUT.as_millis() as u32,
        began: 0,
    }
}

/// Fails unless a wait ended at its time-out, with no completion and the argument of a new call.
#[track_caller]
fn assert_timed_out(outcome: Result<(), Errno>, wait: &Wait, start: Instant) {
    assert_eq!(outcome, Err(Errno::TIMEDOUT));
    let elapsed = start.elapsed();
    assert!(elapsed >= TIMEOUT, "the wait took {elapsed:?}");
    let ended = Wait {
        completion_tail: 0,
        ..first_of(wait.queue)
    };
    assert_eq!(*wait, ended);
}

/// A wait that began anew at each signal would never end.
#[case]
fn wait_with_a_restarting_handler_lasts_as_long_as_its_timeout() {
    let device = open();
    let queue = device.create_queue(4).unwrap();
    let mut wait = first_of(queue.number());
    let start = Instant::now();
    let timer = Timer::start(PERIOD, Handler::Restarts);
    let outcome = raw::wait(&device, &mut wait);
    assert_timed_out(outcome, &wait, start);
    assert!(timer.ticks() > 0, "no signal came");
}

#[case]
fn interrupted_wait_goes_on_with_its_argument() {
    let device = open();
    let queue = device.create_queue(4).unwrap();
    let given = first_of(queue.number());
    let mut wait = given;
    let start = Instant::now();
    let _timer = Timer::start(PERIOD, Handler::Interrupts);
    let mut interrupted = 0;
    let outcome = loop {
        match raw::wait(&device, &mut wait) {
            Err(Errno::INTR) => interrupted += 1,
            outcome => break outcome,
        }
        assert_ne!(wait.began, 0);
        let began = wait.began;
        assert_eq!(wait, Wait { began, ..given });
    };
    assert_timed_out(outcome, &wait, start);
    assert!(interrupted > 0, "no signal came");
}

#[case]
fn completion_ends_a_wait_among_signals() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let timer = Timer::start(Duration::from_millis(5), Handler::Restarts);
    let mut tail = 0;
    while timer.ticks() < 20 {
        tail += 1;
        queue.push(nop(tail)).unwrap();
        let mut wait = Wait {
            completion_tail: tail,
            timeout_ms: raw::LONG_MS,
            ..first_of(queue.number())
        };
        queue.submit();
        assert_eq!(raw::wait(&device, &mut wait), Ok(()));
        assert_eq!((wait.completion_tail, wait.began), (tail, 0));
        queue.pop().unwrap().unwrap();
    }
}

/// Starts a child that waits for the first completion of a queue, disturbs it, and completes.
fn assert_unseen_by_a_waiting_child(disturb: impl FnOnce(&fork::Fork)) {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let mut wait = Wait {
        timeout_ms: raw::LONG_MS,
        ..first_of(queue.number())
    };
    let child = fork::start(|| {
        let outcome = raw::wait(&device, &mut wait);
        assert_eq!((outcome, wait.completion_tail), (Ok(()), 1));
        true
    });
    until_in_ioctl(child.process());
    disturb(&child);
    // Otherwise the wait could be over before the child was disturbed.
    queue.push(nop(0)).unwrap();
    queue.submit();
    assert_eq!(child.end().code(), Some(0));
}

#[case]
fn stop_and_continue_are_not_seen_by_a_waiting_process() {
    assert_unseen_by_a_waiting_child(|child| {
        for _ in 0..3 {
            child.signal(SIGSTOP);
            until_stopped(child.process());
            child.signal(SIGCONT);
        }
    });
}

#[case]
fn freezer_is_not_seen_by_a_waiting_process() -> Result<(), Skip> {
    let freezer = Freezer::new()?;
    assert_unseen_by_a_waiting_child(|child| {
        freezer.take(child.process());
        for _ in 0..3 {
            freezer.freeze();
            freezer.thaw();
        }
    });
    Ok(())
}

#[case]
fn debugger_that_comes_and_goes_is_not_seen_by_a_waiting_process() {
    assert_unseen_by_a_waiting_child(|child| drop(Traced::stop(child.process())));
}
