// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Resets of the bus through sysfs. The kernel saves the function's configuration before and
//! restores it after.

use crate::load::{idle, refused, Load};
use crate::{generation, COPY};
use ringbar_client::Rights;
use ringbar_tests::{
    assert_device_works, case, copy, expect_bytes, open, parameter, pattern_bytes, poller, seed,
    succeed, Case, PciFunction, Reset, Slot, SHORT,
};
use rustix::event::PollFlags;
use rustix::io::Errno;
use std::io;
use std::thread;

/// Rounds of a full run and of a short one. The kernel waits a second in each.
const ROUNDS: (u64, u64) = (10, 2);

/// Makes a case for each way to reset the bus.
fn each_way(name: &'static str, body: fn(Reset)) -> Vec<Case> {
    let ways = [
        ("reset_method", Reset::Bus),
        ("reset_subordinate", Reset::Subordinate),
    ];
    ways.map(|(word, way)| Case::new(format!("{word}/{name}"), move || body(way)))
        .into()
}

/// Resets the bus. Returns what the kernel reports of it.
fn reset(way: Reset) -> io::Result<()> {
    let report = PciFunction::under_test().reset_by(way);
    println!("# the kernel reports {report:?}");
    report
}

/// Behind QEMU's root port the kernel misses the link that comes up again, for every device. The
/// native controller of a slot does not wait for it.
#[case(each_way)]
fn bus_is_reset_although_the_kernel_may_report_an_error(way: Reset) {
    let before = generation();
    let report = reset(way);
    assert_ne!(generation(), before);
    let report = report.map_err(|error| Errno::from_io_error(&error));
    let expected = match Slot::is_native() {
        true => Ok(()),
        false => Err(Some(Errno::NOTTY)),
    };
    assert_eq!(report, expected);
}

#[case(each_way)]
fn sleeper_gets_eio_and_poller_pollerr_while_copies_run(way: Reset) {
    let load = Load::start();
    let (idle, _queue) = idle();
    let (sleeper, poller) = (load.sleeper(), poller(&idle));
    thread::sleep(SHORT);
    let _report = reset(way);
    refused(sleeper.join().unwrap());
    let ready = poller.join().unwrap();
    assert!(ready.contains(PollFlags::ERR), "{ready:?}");
    assert!(!ready.contains(PollFlags::HUP), "{ready:?}");
}

#[case(each_way)]
fn bytes_arrive_in_the_same_file_with_new_objects(way: Reset) {
    let load = Load::start();
    let _report = reset(way);
    let device = &load.device;
    let mut queue = device.create_queue(4).unwrap();
    let buffers =
        [Rights::Read, Rights::Write].map(|rights| device.create_buffer(COPY, rights).unwrap());
    let bytes = pattern_bytes(seed(), COPY);
    buffers[0].mapping().write_bytes(0, &bytes);
    succeed(&mut queue, copy(&buffers[0], &buffers[1], COPY));
    let seen = buffers[1].mapping().read_bytes(0, COPY);
    expect_bytes("the copy", &seen, &bytes);
}

#[case(each_way)]
fn repeated_bus_resets_under_load_lose_nothing(way: Reset) {
    let (full, short) = ROUNDS;
    for _ in 0..parameter::count(full, short) {
        let load = Load::start();
        let sleeper = load.sleeper();
        let _report = reset(way);
        refused(sleeper.join().unwrap());
        assert_device_works(&load.device);
    }
    assert_device_works(&open());
}
