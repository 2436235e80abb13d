// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The port above a device reports errors of its link (AER) while the device is in use. What
//! becomes of sleepers, copies and files is as the driver's README says, and the device works.

use ringbar_client::{Device, Error};
use ringbar_tests::{
    assert_device_works, case, node, ready_for, run, sleeper, until, Hammer, KeptOnPurpose,
    LongCopies, PciFunction, Runner, Skip, PATIENCE, SHORT,
};
use rustix::event::PollFlags;
use rustix::io::Errno;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

/// The device below the port. Not the device under test, on which later programs rely.
const DEVICE: u32 = 1;

fn main() -> ExitCode {
    run()
}

/// The port above the device, as the kernel sees it.
struct Port {
    runner: Runner,
    function: PciFunction,
    folder: PathBuf,
}

impl Port {
    fn find() -> Result<Self, Skip> {
        if !Path::new(&node(DEVICE)).exists() {
            let reason = "the machine has too few devices: start it with DEVICES=2";
            return Err(Skip(reason.into()));
        }
        let function = PciFunction::of(DEVICE);
        let folder = function.folder().parent().expect("it is below a port");
        let folder = folder.to_owned();
        if !folder.join("aer_dev_fatal").exists() {
            return Err(Skip(
                "the kernel handles no errors of links (PCIEAER)".into(),
            ));
        }
        let runner = Runner::find();
        let runner = runner.ok_or(Skip("the machine has no runner that injects errors".into()))?;
        Ok(Self {
            runner,
            function,
            folder,
        })
    }

    /// Returns how many errors of a severity the kernel has seen.
    fn seen(&self, severity: &str) -> u64 {
        let file = self.folder.join(format!("aer_dev_{severity}"));
        let table = fs::read_to_string(file).expect("sysfs can be read");
        let total = table
            .lines()
            .last()
            .and_then(|line| line.rsplit(' ').next());
        total
            .expect("the last line has the total")
            .parse()
            .expect("a number")
    }

    /// Has the port report an error, and waits until the kernel has seen it.
    fn report(&mut self, severity: &str) {
        let before = self.seen(severity);
        self.runner.must(&format!("link_{severity} {DEVICE}"));
        until("the kernel sees the error", || self.seen(severity) > before);
    }
}

fn open() -> Device {
    Device::open(node(DEVICE)).expect("the device can be opened")
}

/// Fails unless an error leaves a device at work alone.
fn leaves_the_device_at_work(severity: &str) -> Result<(), Skip> {
    let mut port = Port::find()?;
    let hammer = Hammer::start(open());
    let mut copies = LongCopies::prepare(&open()).expect("a queue and buffers");
    copies.start().expect("the ring has room");
    port.report(severity);
    hammer.goes_on();
    hammer.finish();
    copies.finish().expect("the copies end");
    assert_device_works(&open());
    Ok(())
}

#[case]
fn correctable_error_leaves_the_device_at_work() -> Result<(), Skip> {
    leaves_the_device_at_work("correctable")
}

#[case]
fn error_that_is_not_fatal_leaves_the_device_at_work() -> Result<(), Skip> {
    leaves_the_device_at_work("nonfatal")
}

#[case]
fn repeated_errors_leave_the_device_at_work() -> Result<(), Skip> {
    for _ in 0..3 {
        leaves_the_device_at_work("nonfatal")?;
    }
    Ok(())
}

/// Fails unless a call found that the device does not answer.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert_eq!(result.expect_err("refused").errno(), Some(Errno::IO));
}

#[case]
fn fatal_error_loses_the_device_until_the_kernel_finds_it_again() -> Result<(), Skip> {
    let mut port = Port::find()?;
    let device = open();
    let queue = device.create_queue(4).expect("a queue");
    let sleeper = sleeper(&device, &queue, 1);
    let mut copies = LongCopies::prepare(&open()).expect("a queue and buffers");
    copies.start().expect("the ring has room");
    thread::sleep(SHORT);
    port.report("fatal");
    until("the sleeper wakes", || sleeper.is_finished());
    refused(sleeper.join().expect("the thread does not panic"));
    assert!(ready_for(&device, PATIENCE).contains(PollFlags::ERR));
    copies.finish().expect_err("the reset has ended the copies");
    refused(device.create_queue(4));
    refused(open().create_queue(4));
    {
        let _kept = KeptOnPurpose::begin();
        drop(port.function.remove());
    }
    until("the device is back", || Path::new(&node(DEVICE)).exists());
    assert_device_works(&open());
    let gone = device.create_queue(4).expect_err("that device is gone");
    assert_eq!(gone.errno(), Some(Errno::NODEV));
    assert!(ready_for(&device, PATIENCE).contains(PollFlags::HUP));
    Ok(())
}
