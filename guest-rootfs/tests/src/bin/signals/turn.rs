// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Signals while a call waits for its turn on a queue, before it has done anything.

use crate::raw;
use ringbar_client::{Device, KernelQueue};
use ringbar_spec::ring::Completion;
use ringbar_tests::signals::{until_in_ioctl, until_stopped, Handler, Timer, SIGCONT, SIGSTOP};
use ringbar_tests::{case, fork, nop, open, Freezer, PciFunction, Skip, PATIENCE};
use ringbar_uapi::ioctl::Execute;
use rustix::io::Errno;
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(30);
const TIMEOUT: Duration = Duration::from_millis(300);

/// Calls `body` while another process has its turn on the queue.
fn behind_another(body: impl FnOnce(&Device, &mut KernelQueue)) {
    let function = PciFunction::under_test();
    let device = open();
    let mut queue = device.create_kernel_queue(4).unwrap();
    let silent = function.without_bus_master();
    let other = fork::start(|| {
        let mut completion = [Completion::default()];
        let done = queue.execute(&[nop(1)], &mut completion, PATIENCE);
        done.is_ok()
    });
    until_in_ioctl(other.process());
    body(&device, &mut queue);
    drop(silent);
    assert_eq!(other.end().code(), Some(0));
    let mut completion = [Completion::default()];
    queue.execute(&[nop(2)], &mut completion, PATIENCE).unwrap();
    assert_eq!(completion[0].tag, 2, "it is of another call");
}

fn call(queue: &KernelQueue) -> Execute {
    Execute {
        queue: queue.number(),
        timeout_ms: TIMEOUT.as_millis() as u32,
        ..Default::default()
    }
}

#[case]
fn call_that_waits_for_its_turn_lasts_as_long_as_its_timeout() {
    behind_another(|device, queue| {
        let mut call = call(queue);
        let start = Instant::now();
        let timer = Timer::start(PERIOD, Handler::Restarts);
        let mut completion = [Completion::default()];
        let outcome = raw::execute(device, &mut call, &[nop(0)], &mut completion);
        assert_eq!(outcome, Err(Errno::TIMEDOUT));
        assert_eq!((call.count, call.began), (0, 0));
        assert!(start.elapsed() >= TIMEOUT, "{:?}", start.elapsed());
        assert!(timer.ticks() > 0, "no signal came");
    });
}

#[case]
fn call_that_waits_for_its_turn_is_interrupted_with_its_argument() {
    behind_another(|device, queue| {
        let mut call = call(queue);
        let _timer = Timer::start(PERIOD, Handler::Interrupts);
        let mut completion = [Completion::default()];
        let start = Instant::now();
        let mut interrupted = 0;
        let outcome = loop {
            match raw::execute(device, &mut call, &[nop(0)], &mut completion) {
                Err(Errno::INTR) => interrupted += 1,
                outcome => break outcome,
            }
            assert_eq!((call.count, call.timeout_ms), (1, 300), "{call:?}");
            assert_ne!(call.began, 0);
        };
        assert!(interrupted > 0, "no signal came");
        assert_eq!(outcome, Err(Errno::TIMEDOUT));
        assert!(start.elapsed() >= TIMEOUT, "{:?}", start.elapsed());
    });
}

/// Starts a child that waits for its turn, and disturbs it. Fails unless the child carries its
/// descriptor out when its turn comes.
fn assert_unseen_by_a_child_in_line(disturb: impl FnOnce(&fork::Fork)) {
    let mut in_line = None;
    behind_another(|device, queue| {
        let mut call = Execute {
            timeout_ms: raw::LONG_MS,
            ..call(queue)
        };
        let child = fork::start(|| {
            let mut completion = [Completion::default()];
            let outcome = raw::execute(device, &mut call, &[nop(3)], &mut completion);
            let seen = (outcome, call.count, call.began, completion[0].tag);
            assert_eq!(seen, (Ok(()), 1, 0, 3));
            true
        });
        until_in_ioctl(child.process());
        disturb(&child);
        in_line = Some(child);
    });
    let child = in_line.expect("it was started");
    assert_eq!(child.end().code(), Some(0));
}

#[case]
fn stop_and_continue_are_not_seen_by_a_process_that_waits_for_its_turn() {
    assert_unseen_by_a_child_in_line(|child| {
        child.signal(SIGSTOP);
        until_stopped(child.process());
        child.signal(SIGCONT);
    });
}

#[case]
fn freezer_is_not_seen_by_a_process_that_waits_for_its_turn() -> Result<(), Skip> {
    let freezer = Freezer::new()?;
    assert_unseen_by_a_child_in_line(|child| {
        freezer.take(child.process());
        freezer.freeze();
        freezer.thaw();
    });
    Ok(())
}
