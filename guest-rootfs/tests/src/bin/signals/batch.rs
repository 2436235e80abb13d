// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `EXECUTE` among signals. Each descriptor moves the bytes of a buffer up by one, so that bytes
//! with a mark show how many were carried out.

use crate::raw;
use ringbar_client::{descriptors, Buffer, Device, KernelQueue, Rights};
use ringbar_spec::ring::{Completion, Descriptor, Status};
use ringbar_tests::signals::{until_in_ioctl, until_timer_is_pending, Handler, Timer};
use ringbar_tests::{case, fork, open, PciFunction, PATIENCE};
use ringbar_uapi::ioctl::Execute;
use rustix::io::Errno;
use std::time::{Duration, Instant};

const COUNT: usize = 4000;
const PERIOD: Duration = Duration::from_millis(5);
/// Most descriptors that the driver has in the device for one call.
const BATCH: usize = 64;

/// A queue of the kernel, and a buffer of zeros but for its first byte.
struct Ground {
    device: Device,
    queue: KernelQueue,
    buffer: Buffer,
}

impl Ground {
    fn new() -> Self {
        let device = open();
        let ground = Self {
            queue: device.create_kernel_queue(128).unwrap(),
            buffer: device.create_buffer(2 * COUNT, Rights::ReadWrite).unwrap(),
            device,
        };
        ground.buffer.mapping().write(0, 1u8);
        ground
    }

    /// Returns descriptors that each move the bytes up by one.
    fn shifts(&self, count: usize) -> Vec<Descriptor> {
        let window = self.buffer.window();
        let shift = |tag| descriptors::copy(tag, (window, 0), (window, 1), 2 * COUNT as u32 - 1);
        (0..count as u32).map(shift).collect()
    }

    /// Fails unless `count` descriptors in all were carried out.
    #[track_caller]
    fn assert_carried_out(&self, count: usize) {
        let bytes = self.buffer.mapping().read_bytes(0, 2 * COUNT);
        let marked = bytes.iter().take_while(|byte| **byte == 1).count();
        assert_eq!(marked, count + 1, "bytes with the mark");
        assert!(bytes[marked..].iter().all(|byte| *byte == 0));
    }

    fn call(&self) -> Execute {
        Execute {
            queue: self.queue.number(),
            timeout_ms: raw::LONG_MS,
            ..Default::default()
        }
    }
}

/// Fails unless each completion is that of its descriptor.
#[track_caller]
fn assert_complete(completions: &[Completion]) {
    for (tag, completion) in (0..).zip(completions) {
        let seen = (completion.tag, Status(completion.status));
        assert_eq!(seen, (tag, Status::OK));
    }
}

/// Carries out a batch with calls for the rest, until the batch met a signal. `again` makes the
/// argument of the next call from that of the last.
#[track_caller]
fn carry_out_in_parts(handler: Handler, again: impl Fn(&Ground, Execute) -> Execute) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ground = Ground::new();
        let batch = ground.shifts(COUNT);
        let mut completions = vec![Completion::default(); COUNT];
        let timer = Timer::start(PERIOD, handler);
        let (mut done, mut calls) = (0, 0);
        let mut call = ground.call();
        while done < COUNT {
            calls += 1;
            let rest = &mut completions[done..];
            match raw::execute(&ground.device, &mut call, &batch[done..], rest) {
                Ok(()) => done += call.count as usize,
                Err(Errno::INTR) => {}
                Err(error) => panic!("{error} after {done} descriptors"),
            }
            assert_eq!(call.began != 0, done < COUNT, "{call:?}");
            call = again(&ground, call);
        }
        drop(timer);
        assert_complete(&completions);
        ground.assert_carried_out(COUNT);
        if calls > 1 {
            return;
        }
        assert!(Instant::now() < deadline, "no signal met a batch");
    }
}

#[case]
fn batch_in_parts_is_carried_out_once() {
    carry_out_in_parts(Handler::Restarts, |_, last| last);
}

#[case]
fn batch_in_parts_is_carried_out_once_with_an_interrupting_handler() {
    carry_out_in_parts(Handler::Interrupts, |_, last| last);
}

/// A program that does not know the mark.
#[case]
fn batch_in_parts_is_carried_out_once_by_new_calls() {
    carry_out_in_parts(Handler::Restarts, |ground, _| ground.call());
}

#[case]
fn library_carries_out_a_batch_among_signals() {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut ground = Ground::new();
        let batch = ground.shifts(COUNT);
        let mut completions = vec![Completion::default(); COUNT];
        let timer = Timer::start(PERIOD, Handler::Interrupts);
        let done = ground.queue.execute(&batch, &mut completions, PATIENCE);
        let ticks = timer.ticks();
        drop(timer);
        assert_eq!(done.unwrap(), COUNT);
        assert_complete(&completions);
        ground.assert_carried_out(COUNT);
        if ticks > 0 {
            return;
        }
        assert!(Instant::now() < deadline, "no signal came during a batch");
    }
}

/// Without bus mastering the device carries out nothing, so the signal always comes in the middle.
#[case]
fn call_waits_for_the_descriptors_that_the_device_has() {
    const ALL: usize = 100;
    let function = PciFunction::under_test();
    let ground = Ground::new();
    let batch = ground.shifts(ALL);
    let silent = function.without_bus_master();
    let child = fork::start(|| {
        let mut completions = vec![Completion::default(); ALL];
        let mut call = ground.call();
        {
            let _timer = Timer::start(PERIOD, Handler::Interrupts);
            let first = raw::execute(&ground.device, &mut call, &batch, &mut completions);
            assert_eq!((first, call.count as usize), (Ok(()), BATCH));
            assert_ne!(call.began, 0);
        }
        let rest = &mut completions[BATCH..];
        let second = raw::execute(&ground.device, &mut call, &batch[BATCH..], rest);
        assert_eq!((second, call.count as usize), (Ok(()), ALL - BATCH));
        assert_eq!(call.began, 0);
        assert_complete(&completions);
        true
    });
    until_in_ioctl(child.process());
    until_timer_is_pending(child.process());
    drop(silent);
    assert_eq!(child.end().code(), Some(0));
    ground.assert_carried_out(ALL);
}

/// A signal does not make the time longer in which the driver waits for the device.
#[case]
fn call_with_a_signal_times_out() {
    let function = PciFunction::under_test();
    let ground = Ground::new();
    let batch = ground.shifts(1);
    let mut completions = [Completion::default()];
    let mut call = Execute {
        timeout_ms: 100,
        ..ground.call()
    };
    let silent = function.without_bus_master();
    let timer = Timer::start(PERIOD, Handler::Restarts);
    let start = Instant::now();
    let outcome = raw::execute(&ground.device, &mut call, &batch, &mut completions);
    let elapsed = start.elapsed();
    drop(timer);
    drop(silent);
    assert_eq!(outcome, Err(Errno::TIMEDOUT));
    assert_eq!((call.count, call.began), (0, 0));
    assert!(elapsed >= Duration::from_millis(100), "{elapsed:?}");
}
