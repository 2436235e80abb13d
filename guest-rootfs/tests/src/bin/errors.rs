// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device's errors, as debugfs shows them.

use ringbar_client::{descriptors, Device, Queue};
use ringbar_spec::regs::{ERROR_LOG_ENTRIES, IDENT};
use ringbar_spec::ring::{Descriptor, Status};
use ringbar_tests::debugfs::RINGBAR;
use ringbar_tests::{carry_out, case, open, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    run()
}

/// Returns the number of errors that the device has counted, and the lines about them.
fn log() -> (u64, Vec<String>) {
    let text = RINGBAR.errors();
    let mut lines = text.lines();
    let count = lines.next().and_then(|line| line.strip_prefix("count "));
    let count = count.expect("the count comes first").parse();
    let errors = lines.filter(|line| line.starts_with("error "));
    (
        count.expect("a number"),
        errors.map(str::to_owned).collect(),
    )
}

/// Returns the number of errors that the driver shows for a queue.
fn errors_of(queue: &Queue) -> u64 {
    let start = format!("queue {} errors ", queue.number());
    let text = RINGBAR.errors();
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    let line = line.expect("there is a line for each queue");
    line.parse().expect("a number")
}

/// Has the device refuse a descriptor with an unknown opcode.
fn fail(queue: &mut Queue, tag: u32) {
    let bad = Descriptor {
        opcode: 0xffff,
        tag,
        ..Default::default()
    };
    let completion = carry_out(queue, bad);
    assert_eq!(Status(completion.status), Status::BAD_OPCODE);
}

fn queue_of(device: &Device) -> Queue {
    device.create_queue(4).unwrap()
}

#[case]
fn refused_descriptor_is_logged_by_name_with_its_queue() {
    let device = open();
    let _first = queue_of(&device);
    let mut queue = queue_of(&device);
    let (before, _) = log();
    fail(&mut queue, 0xabc);
    let (count, errors) = log();
    assert_eq!(count, before + 1);
    let value = u64::from(Status::BAD_OPCODE.0) << 32 | 0xabc;
    assert_eq!(
        errors.last().unwrap(),
        &format!(
            "error {count} queue {} DESCRIPTOR_REFUSED {value:#x}",
            queue.number()
        )
    );
}

#[case]
fn bad_access_is_logged_by_name_without_a_queue() {
    let device = open();
    let registers = device.map_public_registers().unwrap();
    let (before, _) = log();
    registers.write(IDENT::INFO.offset, 0u32);
    let (count, errors) = log();
    assert_eq!(count, before + 1);
    let value = IDENT::INFO.offset;
    assert_eq!(
        errors.last().unwrap(),
        &format!("error {count} queue none READ_ONLY {value:#x}")
    );
}

#[case]
fn log_has_the_last_errors_in_their_order() {
    let device = open();
    let mut queue = queue_of(&device);
    let (before, _) = log();
    let more = ERROR_LOG_ENTRIES as u32 + 3;
    for tag in 0..more {
        fail(&mut queue, tag);
    }
    let (count, errors) = log();
    assert_eq!(count, before + u64::from(more));
    let expected: Vec<_> = (3..more)
        .map(|tag| {
            format!(
                "error {} queue {} DESCRIPTOR_REFUSED {:#x}",
                before + u64::from(tag) + 1,
                queue.number(),
                1 << 32 | tag as u64
            )
        })
        .collect();
    assert_eq!(errors, expected);
}

#[case]
fn queue_counts_its_own_errors_since_its_start() {
    let device = open();
    let mut first = queue_of(&device);
    let mut second = queue_of(&device);
    (0..3).for_each(|tag| fail(&mut first, tag));
    fail(&mut second, 0);
    assert_eq!((errors_of(&first), errors_of(&second)), (3, 1));
    first.reset().unwrap();
    assert_eq!((errors_of(&first), errors_of(&second)), (0, 1));
}

#[case]
fn successful_descriptor_is_not_an_error() {
    let device = open();
    let mut queue = queue_of(&device);
    let before = log();
    let done = carry_out(&mut queue, descriptors::nop(0));
    assert_eq!(Status(done.status), Status::OK);
    assert_eq!(log(), before);
    assert_eq!(errors_of(&queue), 0);
}

#[case]
fn responding_device_leaves_no_kept_memory() {
    let device = open();
    drop((queue_of(&device), device));
    assert_eq!(RINGBAR.kept(), "queues 0\nbuffers 0\nbytes 0\n");
}
