// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Signals while the driver waits for a function that does not answer in its BARs, as during a
//! reset.

use crate::raw;
use ringbar_client::Device;
use ringbar_tests::signals::{until_in_ioctl, Handler, Timer};
use ringbar_tests::{
    assert_device_works, case, fork, open, sharing, PciFunction, Skip, Withheld, Without,
};
use ringbar_uapi::ioctl::{CreateQueue, Wait};
use rustix::io::Errno;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;
use std::time::Duration;
use zerocopy::IntoBytes;

/// Calls beside one that waits for the end of a reset.
const LOOKS: u32 = 20;

/// Runs `act` on a child in `body`, while the function does not answer. Returns the child's end.
fn without_an_answer(
    device: &Device,
    body: impl FnOnce() -> bool,
    act: impl FnOnce(&fork::Fork),
) -> ExitStatus {
    let function = PciFunction::under_test();
    let silent = function.without_memory();
    let child = fork::start(body);
    act(&child);
    let status = child.end();
    drop(silent);
    assert_device_works(device);
    status
}

fn new_queue() -> CreateQueue {
    CreateQueue {
        entries: 4,
        ..Default::default()
    }
}

#[case]
fn call_that_waits_for_the_end_of_a_reset_is_interrupted() {
    let device = open();
    let body = || {
        let _timer = Timer::start(Duration::from_millis(30), Handler::Interrupts);
        let mut create = new_queue();
        let created = raw::create_queue(&device, &mut create);
        (created, create) == (Err(Errno::INTR), new_queue())
    };
    let status = without_an_answer(&device, body, |_| ());
    assert_eq!(status.code(), Some(0));
}

#[case]
fn process_killed_while_it_waits_for_the_end_of_a_reset_ends_at_once() {
    let device = open();
    let body = || raw::create_queue(&device, &mut new_queue()).is_err();
    let status = without_an_answer(&device, body, |child| {
        until_in_ioctl(child.process());
        child.kill();
    });
    assert_eq!(status.signal(), Some(fork::SIGKILL), "{status}");
}

/// Starts a child in a call. The function stops to answer while the child reads its argument, after
/// its first look at the device. So the child finds that out with the locks of the file. Calls
/// `end` then, which returns the child's end. A driver that waits with the locks gives the device
/// up.
fn overtaken_by_a_reset(
    device: &Device,
    end: impl FnOnce(fork::Fork, Without<'_>) -> ExitStatus,
) -> Result<ExitStatus, Skip> {
    let function = PciFunction::under_test();
    let argument = Withheld::new()?;
    let child = sharing::start(|| raw::create_queue_at(device, argument.address()).is_ok());
    argument.until_wanted();
    let silent = function.without_memory();
    argument.give(new_queue().as_bytes());
    Withheld::until_had_by(child.process());
    let status = end(child, silent);
    assert_device_works(device);
    Ok(status)
}

#[case]
fn call_that_a_reset_overtakes_waits_for_its_end() -> Result<(), Skip> {
    let device = open();
    let status = overtaken_by_a_reset(&device, |child, silent| {
        drop(silent);
        child.end()
    })?;
    assert_eq!(status.code(), Some(0));
    Ok(())
}

#[case]
fn process_killed_in_a_call_that_a_reset_overtakes_ends_at_once() -> Result<(), Skip> {
    let device = open();
    let status = overtaken_by_a_reset(&device, |child, silent| {
        child.kill();
        let status = child.end();
        // Only now: the process has ended while the function was silent.
        drop(silent);
        status
    })?;
    assert_eq!(status.signal(), Some(fork::SIGKILL), "{status}");
    Ok(())
}

#[case]
fn call_that_a_reset_overtakes_keeps_no_other_call_from_its_file() -> Result<(), Skip> {
    let device = open();
    let queue = device.create_queue(4).unwrap();
    let status = overtaken_by_a_reset(&device, |child, silent| {
        let mut wait = Wait {
            queue: queue.number(),
            completion_tail: 1,
            timeout_ms: raw::LONG_MS,
            began: 0,
        };
        // They need the lock of the queues, and do not wait for the end of the reset. Several: the
        // child may not have come to that lock yet.
        for _ in 0..LOOKS {
            assert_eq!(raw::wait(&device, &mut wait), Err(Errno::IO));
            thread::sleep(Duration::from_millis(10));
        }
        drop(silent);
        child.end()
    })?;
    assert_eq!(status.code(), Some(0));
    Ok(())
}
