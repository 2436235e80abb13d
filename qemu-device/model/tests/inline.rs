// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Entries that stand beside the indices as well as in the rings.

use ringbar_driver_side::descriptors::nop;
use ringbar_model::test_driver::{Ring, TestDriver};
use ringbar_model::{Config, Location};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::Register;
use ringbar_spec::ring::{Completion, Descriptor, Status};

const SUBMISSION_TAIL: usize = 0x80_0000;

fn set_up() -> (TestDriver, Ring) {
    let mut driver = TestDriver::new(Config {
        queues: 1,
        vectors: 2,
        device_memory_size: 1 << 20,
        boot_number: 1,
    });
    let ring = driver.start_ring(0, 1, 4, 1);
    (driver, ring)
}

/// Makes a descriptor that the device refuses, so that taking it shows.
fn refused(tag: u32) -> Descriptor {
    Descriptor {
        opcode: 99,
        ..nop(tag)
    }
}

#[test]
fn single_descriptor_is_taken_from_beside_the_tail() {
    let (mut driver, mut ring) = set_up();
    ring.push(&driver, &refused(1));
    ring.put_inline(&driver, &nop(2));

    ring.kick(&mut driver);
    driver.run();

    assert_eq!(ring.take_tags(&driver), [2]);
}

#[test]
fn descriptor_beside_the_tail_is_checked_like_any_other() {
    let (mut driver, mut ring) = set_up();
    ring.put_inline(&driver, &refused(7));

    let completion = ring.carry_out(&mut driver, &nop(1));

    let outcome = (completion.tag, Status(completion.status));
    assert_eq!(outcome, (7, Status::BAD_OPCODE));
}

#[test]
fn invalid_descriptor_beside_the_tail_is_ignored() {
    let (mut driver, mut ring) = set_up();
    ring.put_inline(&driver, &refused(2));
    ring.say_inline(&driver, false);

    let completion = ring.carry_out(&mut driver, &nop(1));

    assert_eq!((completion.tag, completion.status), (1, Status::OK.0));
}

#[test]
fn several_descriptors_are_taken_from_the_ring() {
    let (mut driver, mut ring) = set_up();
    ring.put_inline(&driver, &refused(9));
    (0..2).for_each(|tag| ring.push(&driver, &nop(tag)));

    ring.kick(&mut driver);
    driver.run();

    assert_eq!(ring.take_tags(&driver), [0, 1]);
}

#[test]
fn last_completion_of_a_step_stands_beside_the_tail() {
    let (mut driver, mut ring) = set_up();
    (0..3).for_each(|tag| ring.push(&driver, &refused(tag)));

    ring.kick(&mut driver);
    driver.run();

    let last = ring.take_all(&driver).pop().expect("three completions");
    assert_eq!(last.tag, 2);
    assert_eq!(ring.inline_completion(&driver), last);
}

#[test]
fn completion_stands_beside_the_tail_when_a_fault_ends_its_step() {
    let (mut driver, mut ring) = set_up();
    ring.push(&driver, &nop(5));
    ring.ring(&driver);
    // It wakes, loads the tail and whether a descriptor stands beside it, and loads the tail once
    // more.
    let mut accesses = 0;
    driver.host.interleave(move |host| {
        accesses += 1;
        if accesses == 4 {
            host.set_word(SUBMISSION_TAIL, 100);
        }
    });

    driver.write(0x3f_0000, 4, 0);
    driver.run();

    assert_eq!(driver.last_error().0, ErrorCode::BAD_TAIL);
    assert_eq!(ring.completion_tail(&driver), 1);
    assert_eq!(ring.inline_completion(&driver).tag, 5);
}

#[test]
fn completion_that_cannot_be_written_does_not_stand_beside_the_tail() {
    let (mut driver, mut ring) = set_up();
    ring.carry_out(&mut driver, &nop(3));
    let address = ring.setup.completion_ring;
    driver.host.map(address, vec![0; 64], false);

    ring.push(&driver, &nop(4));
    ring.kick(&mut driver);
    driver.run();

    assert_eq!(driver.last_error().0, ErrorCode::COMPLETION_FAULT);
    assert_eq!(ring.inline_completion(&driver).tag, 3);
}

#[test]
fn started_queue_shows_no_completion() {
    let (mut driver, mut ring) = set_up();
    ring.carry_out(&mut driver, &nop(3));
    assert_eq!(driver.admin(Register::QUEUE_STOP, 0), ErrorCode::NONE);
    driver.host.set_word(SUBMISSION_TAIL, 0);

    let ring = driver.start_ring(0, 1, 4, 1);

    assert_eq!(ring.inline_completion(&driver), Completion::default());
}

#[test]
fn reset_invalidates_the_copies_beside_the_tails() {
    let (mut driver, mut ring) = set_up();
    ring.put_inline(&driver, &refused(2));
    ring.carry_out(&mut driver, &nop(1));
    driver.reset();
    assert_eq!(ring.inline_completion(&driver), Completion::default());

    let mut ring = driver.start_ring(0, 1, 4, 1);
    let completion = ring.carry_out(&mut driver, &nop(1));

    assert_eq!((completion.tag, completion.status), (1, Status::OK.0));
    assert_eq!(
        driver
            .host
            .peek(Location::Guest(ring.setup.completion_ring), 4),
        [1, 0, 0, 0]
    );
}
