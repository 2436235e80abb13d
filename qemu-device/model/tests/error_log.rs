// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The last errors, and those of each queue.

use ringbar_driver_side::descriptors::{copy, fill, nop};
use ringbar_model::test_driver::TestDriver;
use ringbar_model::{Config, LoggedError};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::{
    Register, ERROR_LOG_ENTRIES, ERROR_LOG_ENTRY, ERROR_LOG_VALUE, NO_QUEUE, QUEUE_ERRORS,
};
use ringbar_spec::ring::Status;

/// An offset without a register.
const NOWHERE: u64 = 0x800;

fn driver() -> TestDriver {
    TestDriver::new(Config {
        queues: 3,
        vectors: 4,
        device_memory_size: 1 << 20,
        boot_number: 1,
    })
}

/// Logs errors with the numbers `first` to `last`, each with its number in the logged value.
fn log(driver: &mut TestDriver, first: u64, last: u64) {
    for number in first..=last {
        driver.read(NOWHERE + 8 * number, 4);
    }
}

fn entry(driver: &mut TestDriver, index: usize) -> ERROR_LOG_ENTRY {
    let offset = ERROR_LOG_ENTRY::INFO.offset_of(index).unwrap();
    ERROR_LOG_ENTRY::from_raw(driver.read(offset as u64, 8))
}

fn value(driver: &mut TestDriver, index: usize) -> u64 {
    let offset = ERROR_LOG_VALUE::INFO.offset_of(index).unwrap();
    driver.read(offset as u64, 8)
}

fn numbers(driver: &mut TestDriver) -> Vec<u64> {
    (0..ERROR_LOG_ENTRIES)
        .map(|index| entry(driver, index).number())
        .collect()
}

fn errors_of(driver: &mut TestDriver, queue: usize) -> u64 {
    driver.read(QUEUE_ERRORS::INFO.offset_of(queue).unwrap() as u64, 4)
}

#[test]
fn log_is_empty_at_power_on() {
    let mut driver = driver();

    let entries: Vec<_> = (0..16)
        .map(|index| {
            (
                entry(&mut driver, index).into_raw(),
                value(&mut driver, index),
            )
        })
        .collect();

    assert_eq!(entries, [(0, 0); 16]);
}

#[test]
fn error_is_in_the_entry_of_its_number_with_code_queue_and_value() {
    let mut driver = driver();
    log(&mut driver, 1, 2);
    let mut ring = driver.start_ring(2, 1, 4, 1);
    ring.submitted = 77;
    ring.kick(&mut driver);
    driver.run();

    let none = entry(&mut driver, 2);
    let fault = entry(&mut driver, 3);

    let reserved = u64::from(ErrorCode::RESERVED_REGISTER.0);
    assert_eq!((none.number(), none.code()), (2, reserved));
    assert_eq!(none.queue(), u64::from(NO_QUEUE));
    assert_eq!(value(&mut driver, 2), NOWHERE + 16);
    assert_eq!((fault.number(), fault.queue()), (3, 2));
    assert_eq!(fault.code(), u64::from(ErrorCode::BAD_TAIL.0));
    assert_eq!(value(&mut driver, 3), 77);
}

#[test]
fn newest_error_is_that_of_the_newest_entry() {
    let mut driver = driver();
    log(&mut driver, 1, 20);

    let newest = driver.last_error();

    let offset = NOWHERE + 8 * 20;
    assert_eq!(newest, (ErrorCode::RESERVED_REGISTER, NO_QUEUE, offset));
    assert_eq!(value(&mut driver, 20 % 16), offset);
}

#[test]
fn sixteen_errors_fill_the_log() {
    let mut driver = driver();

    log(&mut driver, 1, 16);

    let expected: Vec<_> = [16].into_iter().chain(1..=15).collect();
    assert_eq!(numbers(&mut driver), expected);
}

#[test]
fn seventeenth_error_takes_the_place_of_the_first() {
    let mut driver = driver();

    log(&mut driver, 1, 17);

    let expected: Vec<_> = [16, 17].into_iter().chain(2..=15).collect();
    assert_eq!(numbers(&mut driver), expected);
    assert_eq!(value(&mut driver, 1), NOWHERE + 8 * 17);
}

#[test]
fn error_clear_empties_the_log_and_starts_again_with_1() {
    let mut driver = driver();
    log(&mut driver, 1, 20);

    driver.set(Register::ERROR_CLEAR, 0);
    let cleared = numbers(&mut driver);
    let values: Vec<_> = (0..16).map(|index| value(&mut driver, index)).collect();
    log(&mut driver, 1, 1);

    assert_eq!(cleared, [0; 16]);
    assert_eq!(values, [0; 16]);
    assert_eq!(entry(&mut driver, 1).number(), 1);
}

#[test]
fn reset_empties_the_log() {
    let mut driver = driver();
    log(&mut driver, 1, 20);

    driver.reset();

    assert_eq!(numbers(&mut driver), [0; 16]);
}

#[test]
fn entries_can_be_read_in_halves() {
    let mut driver = driver();
    log(&mut driver, 1, 1);

    let halves = [0x1_0110, 0x1_0114].map(|offset| driver.read(offset, 4));

    let entry = entry(&mut driver, 1).into_raw();
    assert_eq!(halves, [entry & 0xffff_ffff, entry >> 32]);
}

#[test]
fn log_cannot_be_written() {
    let mut driver = driver();
    log(&mut driver, 1, 1);

    driver.write(0x1_0118, 8, 0);

    assert_eq!(value(&mut driver, 1), NOWHERE + 8);
    assert_eq!(
        driver.last_error(),
        (ErrorCode::READ_ONLY, NO_QUEUE, 0x1_0118)
    );
}

#[test]
fn bytes_behind_the_log_are_reserved() {
    let mut driver = driver();

    assert_eq!(driver.read(0x1200, 8), 0);

    assert_eq!(
        driver.last_error(),
        (ErrorCode::RESERVED_REGISTER, NO_QUEUE, 0x1200)
    );
}

#[test]
fn errors_are_counted_for_their_queue_alone() {
    let mut driver = driver();
    driver.start_ring(0, 1, 4, 1);
    let mut ring = driver.start_ring(1, 1, 4, 1);

    ring.carry_out(&mut driver, &fill(0, 0, (9, 0), 8));
    ring.carry_out(&mut driver, &copy(0, (9, 0), (9, 0), 8));
    ring.carry_out(&mut driver, &nop(0));
    log(&mut driver, 1, 1);

    let errors = [0, 1, 2].map(|queue| errors_of(&mut driver, queue));
    assert_eq!(errors, [0, 2, 0]);
}

#[test]
fn completed_or_aborted_descriptor_is_not_an_error() {
    let mut driver = driver();
    driver.open_device_memory(1, 1, 3, 0, 1 << 20);
    let mut ring = driver.start_ring(0, 1, 4, 1);
    ring.push(&driver, &fill(0, 0, (1, 0), 1 << 20));
    ring.kick(&mut driver);
    driver.step();

    driver.admin(Register::WINDOW_CLOSE, 1);
    driver.run();

    assert_eq!(ring.take(&driver).unwrap().status, Status::ABORTED.0);
    assert_eq!(errors_of(&mut driver, 0), 0);
}

#[test]
fn error_that_stops_a_queue_is_counted_and_stays_until_it_is_started() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, 1, 4, 1);
    driver.host.unmap(ring.setup.submission_ring);
    ring.submitted = 1;
    ring.kick(&mut driver);
    driver.run();

    let stopped = errors_of(&mut driver, 0);
    driver.start_ring(0, 1, 4, 1);

    assert_eq!(stopped, 1);
    assert_eq!(errors_of(&mut driver, 0), 0);
}

#[test]
fn error_clear_leaves_the_errors_of_the_queues() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, 1, 4, 1);
    ring.carry_out(&mut driver, &fill(0, 0, (9, 0), 8));

    driver.set(Register::ERROR_CLEAR, 0);

    assert_eq!(errors_of(&mut driver, 0), 1);
}

#[test]
fn reset_forgets_the_errors_of_the_queues() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, 1, 4, 1);
    ring.carry_out(&mut driver, &fill(0, 0, (9, 0), 8));

    driver.reset();

    assert_eq!(errors_of(&mut driver, 0), 0);
}

#[test]
fn errors_of_a_queue_cannot_be_written() {
    let mut driver = driver();

    driver.write(0x41_0008, 4, 5);

    assert_eq!(errors_of(&mut driver, 1), 0);
    assert_eq!(
        driver.last_error(),
        (ErrorCode::READ_ONLY, NO_QUEUE, 0x41_0008)
    );
}

#[test]
fn errors_of_a_queue_the_device_does_not_have_are_reserved() {
    let mut driver = driver();

    assert_eq!(driver.read(0x43_0008, 4), 0);

    assert_eq!(
        driver.last_error(),
        (ErrorCode::RESERVED_REGISTER, NO_QUEUE, 0x43_0008)
    );
}

#[test]
fn kick_page_has_nothing_around_its_registers() {
    let mut driver = driver();

    for (offset, width) in [
        (0x3f_0004, 4),
        (0x3f_000c, 4),
        (0x3f_0008, 8),
        (0x40_fffc, 4),
    ] {
        assert_eq!(driver.read(offset, width), 0);
        assert_eq!(
            driver.last_error(),
            (ErrorCode::RESERVED_REGISTER, NO_QUEUE, offset)
        );
    }
}

#[test]
fn errors_of_a_queue_can_be_read_in_part() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, 1, 4, 1);
    ring.carry_out(&mut driver, &fill(0, 0, (9, 0), 8));

    let parts = [(0x3f_0008, 1), (0x3f_0008, 2), (0x3f_000a, 2)];

    assert_eq!(
        parts.map(|(offset, width)| driver.read(offset, width)),
        [1, 1, 0]
    );
}

#[test]
fn every_error_of_a_step_is_reported() {
    let mut driver = driver();
    let mut ring = driver.start_ring(1, 1, 4, 0);
    driver.take_errors();

    for tag in [7, 8, 9] {
        ring.push(&driver, &fill(tag, 0, (5, 0), 8));
    }
    ring.kick(&mut driver);
    let steps = driver.run();

    let error = |tag| LoggedError {
        code: ErrorCode::DESCRIPTOR_REFUSED,
        queue: 1,
        value: u64::from(Status::BAD_WINDOW.0) << 32 | tag,
    };
    assert_eq!(
        (steps, driver.take_errors()),
        (1, [7, 8, 9].map(error).to_vec())
    );
}

#[test]
fn error_without_a_queue_is_reported_without_one() {
    let mut driver = driver();

    driver.read(NOWHERE, 4);

    let errors = driver.take_errors();
    assert_eq!(
        errors.iter().map(LoggedError::queue).collect::<Vec<_>>(),
        [None]
    );
}
