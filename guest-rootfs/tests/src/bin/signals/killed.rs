// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Processes that are killed in a call while the device carries out nothing.

use crate::raw;
use ringbar_client::{Buffer, Device, KernelQueue, Queue, Rights};
use ringbar_spec::ring::Completion;
use ringbar_tests::debugfs::RINGBAR;
use ringbar_tests::signals::{until_in_ioctl, until_timer_is_pending, Handler, Timer};
use ringbar_tests::{case, fork, nop, open, PciFunction, PATIENCE};
use ringbar_uapi::ioctl::{Execute, Transfer, Wait};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// Bytes of a transfer. Its first piece never ends.
const SIZE: usize = 3000;
/// No case waits for it.
const ENDLESS_MS: u32 = u32::MAX;

struct Ground {
    device: Device,
    mapped: Queue,
    queue: KernelQueue,
    buffer: Buffer,
}

/// Starts a process in a call, with a device that carries out nothing, and kills it there. Fails
/// unless it ends at once, and afterwards all works and is given back.
#[track_caller]
fn kill_in(signals: bool, call: impl Fn(&Ground)) {
    let before = counts();
    let function = PciFunction::under_test();
    let device = open();
    let mut ground = Ground {
        mapped: device.create_queue(4).unwrap(),
        queue: device.create_kernel_queue(4).unwrap(),
        buffer: device.create_buffer(SIZE, Rights::ReadWrite).unwrap(),
        device,
    };
    let window = ground.buffer.window();
    // The first transfer makes the kernel's memory and its window, which takes bus mastering.
    ground.queue.write(window, 0, &[1], PATIENCE).unwrap();
    let silent = function.without_bus_master();
    let child = fork::start(|| {
        let _timer = signals.then(|| Timer::start(Duration::from_millis(10), Handler::Restarts));
        call(&ground);
        false
    });
    until_in_ioctl(child.process());
    if signals {
        until_timer_is_pending(child.process());
    }
    child.kill();
    let status = child.end();
    // Only now: the process has ended while the device was silent.
    drop(silent);
    assert_eq!(status.signal(), Some(fork::SIGKILL), "{status}");

    let mut completion = [Completion::default()];
    let done = ground.queue.execute(&[nop(7)], &mut completion, PATIENCE);
    assert_eq!((done.unwrap(), completion[0].tag), (1, 7));
    ground.queue.write(window, 0, &[2; SIZE], PATIENCE).unwrap();
    assert_eq!(ground.buffer.mapping().read_bytes(0, SIZE), [2; SIZE]);
    drop(ground);
    assert_eq!(counts(), before);
}

/// Returns the objects in use, and those that are never freed.
fn counts() -> (String, String) {
    (RINGBAR.usage(), RINGBAR.kept())
}

fn wait(ground: &Ground) {
    let mut wait = Wait {
        queue: ground.mapped.number(),
        completion_tail: 1,
        timeout_ms: ENDLESS_MS,
        began: 0,
    };
    raw::wait(&ground.device, &mut wait).expect("the process is killed before");
}

fn execute(ground: &Ground) {
    let mut call = Execute {
        queue: ground.queue.number(),
        timeout_ms: ENDLESS_MS,
        ..Default::default()
    };
    let mut completions = [Completion::default(); 3];
    raw::execute(&ground.device, &mut call, &[nop(0); 3], &mut completions)
        .expect("the process is killed before");
}

fn transfer(ground: &Ground) {
    let mut call = Transfer {
        queue: ground.queue.number(),
        window: ground.buffer.window().into(),
        timeout_ms: ENDLESS_MS,
        ..Default::default()
    };
    raw::transfer(&ground.device, &mut call, &mut [3; SIZE]).expect("the process is killed before");
}

#[case]
fn process_killed_in_wait_ends_at_once() {
    kill_in(false, wait);
}

#[case]
fn process_killed_in_execute_ends_at_once() {
    kill_in(false, execute);
}

#[case]
fn process_killed_in_transfer_ends_at_once() {
    kill_in(false, transfer);
}

/// The driver waits for the descriptors in spite of the first signal.
#[case]
fn process_killed_in_execute_after_another_signal_ends_at_once() {
    kill_in(true, execute);
}

#[case]
fn process_killed_in_transfer_after_another_signal_ends_at_once() {
    kill_in(true, transfer);
}
