// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device goes while the kernel resets it, and calls wait for the end of that reset.

use ringbar_client::{Device, Error, Queue};
use ringbar_spec::wake::Word;
use ringbar_tests::{
    assert_device_works, case, open, parameter, until, KeptOnPurpose, PciFunction, Runner, Skip,
    Slot, NODE,
};
use ringbar_uapi::ioctl::Wait;
use rustix::io::Errno;
use std::io;
use std::path::Path;
use std::thread::{self, ScopedJoinHandle};

/// Fails unless a call has ended as calls do when their queue or their device has gone.
#[track_caller]
fn assert_ended<T: std::fmt::Debug>(call: &str, outcome: Result<T, Error>) {
    let errno = outcome.as_ref().err().and_then(Error::errno);
    let expected = [Some(Errno::NODEV), Some(Errno::IO)];
    assert!(expected.contains(&errno), "{call}: {outcome:?}");
}

/// Waits for a completion that does not come.
fn sleep(device: &Device, queue: u32) -> Result<(), Error> {
    device.wait(&mut Wait {
        queue,
        completion_tail: 1,
        timeout_ms: u32::MAX,
        began: 0,
    })
}

/// Waits until the kernel resets the function. Returns whether that was seen: the reset may be over
/// before this thread gets a processor.
fn sees_reset(queue: &Queue, reset: &ScopedJoinHandle<'_, io::Result<()>>) -> bool {
    let is_reset = || matches!(queue.word(Word::Generation), 0 | u32::MAX);
    until("the function is reset", || {
        is_reset() || reset.is_finished()
    });
    is_reset()
}

#[case]
fn device_can_be_removed_while_it_is_reset() {
    for _ in 0..parameter::count(20, 3) {
        while !removed_while_it_is_reset() {}
    }
}

/// Removes the device while it is reset. Returns false if the reset was over before.
fn removed_while_it_is_reset() -> bool {
    let function = PciFunction::under_test();
    let device = open();
    let queue = device.create_queue(4).unwrap();
    let (removed, is_reset) = thread::scope(|scope| {
        let sleeper = scope.spawn(|| sleep(&device, queue.number()));
        let reset = scope.spawn(|| function.try_reset());
        let is_reset = sees_reset(&queue, &reset);
        // It waits for the end of the reset, and so does the removal: either may be first.
        let caller = scope.spawn(|| device.create_queue(4).map(drop));
        let removed = function.remove();
        assert_ended("WAIT", sleeper.join().unwrap());
        if let Err(error) = caller.join().unwrap() {
            assert_ended::<()>("CREATE_QUEUE", Err(error));
        }
        // The device may be gone by the time the kernel replies.
        let _ = reset.join().unwrap();
        (removed, is_reset)
    });
    assert_ended("INFO", device.info());
    drop(removed);
    until("the node comes back", || Path::new(NODE).exists());
    assert_device_works(&open());
    is_reset
}

/// A person pulls the device out while the kernel waits for 5 s after the button of its slot.
#[case]
fn device_can_be_pulled_out_while_it_is_reset() -> Result<(), Skip> {
    let function = PciFunction::under_test();
    let slot = Slot::of(&function)?;
    let mut runner = Runner::for_unplugs(1)?;
    // The device that has gone does not confirm that it no longer uses its memory.
    let _kept = KeptOnPurpose::begin();
    let device = open();
    let queue = device.create_queue(4).unwrap();
    let ends = thread::scope(|scope| {
        let unplugged = scope.spawn(|| runner.must("device_del"));
        slot.until_its_button_is_pressed();
        let sleeper = scope.spawn(|| sleep(&device, queue.number()));
        // One of its calls waits for the end of the reset. Each queue is given back: on a busy
        // machine the reset may begin after more rounds than the device has queues.
        let caller = scope.spawn(|| loop {
            let created = device.create_queue(4);
            let ended = created.and_then(|queue| device.destroy_queue(queue.number()));
            if let Err(error) = ended {
                return error;
            }
        });
        let reset = scope.spawn(|| function.try_reset());
        // If the reset was over before, the calls end all the same.
        let _ = sees_reset(&queue, &reset);
        slot.pull();
        let ends = [sleeper.join().unwrap(), Err(caller.join().unwrap())];
        let _ = reset.join().unwrap();
        unplugged.join().unwrap();
        ends
    });
    slot.until_off();
    // Before anything can fail: the next cases need a device.
    runner.must("device_add");
    until("the node comes back", || Path::new(NODE).exists());
    ends.into_iter().for_each(|end| assert_ended("a call", end));
    assert_ended("INFO", device.info());
    assert_device_works(&open());
    Ok(())
}
