// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Errors of the driver side with a ring, and the state of the queue after them.

use ringbar_driver_side::descriptors::nop;
use ringbar_model::test_driver::{Ring, TestDriver};
use ringbar_model::{Config, Location};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::Register;
use ringbar_spec::wake::Waiter;

const DOMAIN: u32 = 1;
const SUBMISSION_TAIL: usize = 0x80_0000;
const COMPLETION_HEAD: usize = 0x80_0040;
const KICK: u64 = 0x3f_0000;
/// STATUS: ready, bus mastering on, an error, no queue.
const STOPPED_BY_ERROR: u64 = 7;

fn driver() -> TestDriver {
    TestDriver::new(Config {
        queues: 3,
        vectors: 4,
        device_memory_size: 1 << 20,
        boot_number: 1,
    })
}

#[test]
fn tail_too_far_ahead_stops_the_queue() {
    let mut driver = driver();
    driver.start_ring(0, DOMAIN, 4, 1);
    driver.host.set_word(SUBMISSION_TAIL, 5);

    driver.write(KICK, 4, 0);
    driver.run();

    assert_eq!(driver.last_error(), (ErrorCode::BAD_TAIL, 0, 5));
    assert_eq!(driver.get(Register::STATUS), STOPPED_BY_ERROR);
}

#[test]
fn tail_that_goes_back_stops_the_queue() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    ring.carry_out(&mut driver, &nop(0));
    driver.host.set_word(SUBMISSION_TAIL, 0);

    driver.write(KICK, 4, 0);
    driver.run();

    assert_eq!(driver.last_error(), (ErrorCode::BAD_TAIL, 0, 0));
}

#[test]
fn tail_as_far_ahead_as_the_ring_is_long_is_fine() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    (0..4).for_each(|tag| ring.push(&driver, &nop(tag)));

    ring.kick(&mut driver);
    driver.run();

    assert_eq!(ring.completion_tail(&driver), 4);
}

#[test]
fn head_ahead_of_the_completions_stops_the_queue() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    fill_up(&mut driver, &mut ring);
    driver.host.set_word(COMPLETION_HEAD, 5);

    driver.host.set_word(SUBMISSION_TAIL, 5);
    driver.write(KICK, 4, 0);
    driver.run();

    assert_eq!(driver.last_error(), (ErrorCode::BAD_HEAD, 0, 5));
    assert_eq!(driver.get(Register::STATUS), STOPPED_BY_ERROR);
}

#[test]
fn head_that_goes_back_stops_the_queue() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    fill_up(&mut driver, &mut ring);
    ring.take_all(&driver);
    fill_up(&mut driver, &mut ring);
    driver.host.set_word(COMPLETION_HEAD, 3);

    driver.host.set_word(SUBMISSION_TAIL, 9);
    driver.write(KICK, 4, 0);
    driver.run();

    assert_eq!(driver.last_error(), (ErrorCode::BAD_HEAD, 0, 3));
}

#[test]
fn head_is_ignored_while_there_is_room() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    ring.taken = 9;

    fill_up(&mut driver, &mut ring);

    assert_eq!(ring.completion_tail(&driver), 4);
    assert_eq!(driver.last_error().0, ErrorCode::NONE);
}

/// Submits four descriptors, as many as there is room for, and runs the device.
fn fill_up(driver: &mut TestDriver, ring: &mut Ring) {
    (0..4).for_each(|tag| ring.push(driver, &nop(tag)));
    ring.kick(driver);
    driver.run();
}

#[test]
fn queue_that_was_stopped_by_an_error_ignores_kicks() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    driver.host.set_word(SUBMISSION_TAIL, 5);
    driver.write(KICK, 4, 0);
    driver.run();

    ring.push(&driver, &nop(0));
    ring.kick(&mut driver);

    assert!(!driver.has_work());
}

#[test]
fn queue_that_was_stopped_by_an_error_can_be_started_again() {
    let mut driver = driver();
    driver.start_ring(0, DOMAIN, 4, 1);
    driver.host.set_word(SUBMISSION_TAIL, 5);
    driver.write(KICK, 4, 0);
    driver.run();
    driver.host.set_word(SUBMISSION_TAIL, 0);

    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    let completion = ring.carry_out(&mut driver, &nop(9));

    assert_eq!(completion.tag, 9);
}

#[test]
fn submission_ring_that_cannot_be_read_stops_the_queue() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    ring.push(&driver, &nop(0));
    driver.host.unmap(ring.setup.submission_ring);

    ring.kick(&mut driver);
    driver.run();

    let address = ring.setup.submission_ring;
    assert_eq!(
        driver.last_error(),
        (ErrorCode::SUBMISSION_FAULT, 0, address)
    );
}

#[test]
fn entries_before_the_one_that_cannot_be_read_are_carried_out() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    (0..3).for_each(|tag| ring.push(&driver, &nop(tag)));
    let address = ring.setup.submission_ring;
    let first_two = driver.host.peek(Location::Guest(address), 128);
    driver.host.map(address, first_two, true);

    ring.kick(&mut driver);
    driver.run();

    assert_eq!(ring.take_tags(&driver), [0, 1]);
    assert_eq!(
        driver.last_error(),
        (ErrorCode::SUBMISSION_FAULT, 0, address + 128)
    );
}

#[test]
fn completion_ring_that_cannot_be_written_stops_the_queue() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    ring.carry_out(&mut driver, &nop(0));
    ring.push(&driver, &nop(1));
    let address = ring.setup.completion_ring;
    driver.host.map(address, vec![0; 64], false);

    ring.kick(&mut driver);
    driver.run();

    assert_eq!(
        driver.last_error(),
        (ErrorCode::COMPLETION_FAULT, 0, address + 16)
    );
    assert_eq!(ring.completion_tail(&driver), 1);
    assert_eq!(driver.get(Register::STATUS), STOPPED_BY_ERROR);
}

#[test]
fn completions_before_the_one_that_cannot_be_written_are_announced() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    ring.arm(&driver, Waiter::Process, 1);
    (0..4).for_each(|tag| ring.push(&driver, &nop(tag)));
    let address = ring.setup.completion_ring;
    driver.host.map(address, vec![0; 2 * 16], true);

    ring.kick(&mut driver);
    driver.run();

    assert_eq!(ring.take_tags(&driver), [0, 1]);
    assert_eq!(
        driver.last_error(),
        (ErrorCode::COMPLETION_FAULT, 0, address + 32)
    );
}

#[test]
fn completions_of_a_step_go_round_the_end_of_the_ring() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    // The ring is 64 bytes, with memory that can be written behind it.
    let address = ring.setup.completion_ring;
    driver.host.map(address, vec![0; 128], true);
    (0..3).for_each(|tag| ring.push(&driver, &nop(tag)));
    ring.kick(&mut driver);
    driver.run();
    ring.take_all(&driver);

    (3..7).for_each(|tag| ring.push(&driver, &nop(tag)));
    ring.kick(&mut driver);
    driver.run();

    assert_eq!(ring.take_tags(&driver), [3, 4, 5, 6]);
    assert_eq!(driver.host.peek(Location::Guest(address + 64), 64), [0; 64]);
}

#[test]
fn fault_of_one_queue_leaves_others_running() {
    let mut driver = driver();
    driver.start_ring(0, DOMAIN, 4, 1);
    let mut other = driver.start_ring(1, DOMAIN, 4, 2);
    driver.host.set_word(SUBMISSION_TAIL, 5);
    driver.write(KICK, 4, 0);

    let completion = other.carry_out(&mut driver, &nop(3));

    assert_eq!(completion.tag, 3);
}
