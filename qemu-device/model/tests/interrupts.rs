// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The error log, interrupt causes and interrupt masks.

use ringbar_driver_side::descriptors::{fill, nop};
use ringbar_model::test_driver::{Ring, TestDriver};
use ringbar_model::Config;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::{Register, NO_QUEUE};
use ringbar_spec::wake::{Waiter, Word};

const CONFIG: Config = Config {
    queues: 4,
    vectors: 5,
    device_memory_size: 16 << 20,
    boot_number: 1,
};

fn driver() -> TestDriver {
    TestDriver::new(CONFIG)
}

/// Starts a queue that asks for an interrupt for its first completion.
fn start_armed(driver: &mut TestDriver, queue: u16, vector: u16) -> Ring {
    let ring = driver.start_ring(queue, 1, 4, vector);
    ring.arm(driver, Waiter::Process, 0);
    ring
}

#[test]
fn irq_cause_clears_only_the_bits_written_as_1() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, 1, 4, 1);
    ring.carry_out(&mut driver, &nop(0));
    driver.admin(Register::QUEUE_STOP, 99);

    driver.set(Register::IRQ_CAUSE, 1);

    assert_eq!(driver.get(Register::IRQ_CAUSE), 2);
}

#[test]
fn irq_cause_is_not_changed_by_zeros() {
    let mut driver = driver();
    driver.admin(Register::QUEUE_STOP, 99);

    driver.set(Register::IRQ_CAUSE, 0);

    assert_eq!(driver.get(Register::IRQ_CAUSE), 2);
}

#[test]
fn irq_cause_takes_bytes_not_written_for_zeros() {
    let mut driver = driver();
    driver.admin(Register::QUEUE_STOP, 99);

    driver.write(0x15, 1, 0xff);

    assert_eq!(driver.get(Register::IRQ_CAUSE), 2);
}

#[test]
fn errors_are_counted_and_shown_in_status_and_cause() {
    let mut driver = driver();

    driver.read(0x800, 4);
    driver.read(0x900, 4);

    assert_eq!(driver.get(Register::ERROR_COUNT), 2);
    assert_eq!(driver.get(Register::STATUS), 7);
    assert_eq!(driver.get(Register::IRQ_CAUSE), 2);
}

#[test]
fn error_clear_empties_the_log_and_leaves_the_cause() {
    let mut driver = driver();
    driver.read(0x800, 4);

    driver.set(Register::ERROR_CLEAR, 0);

    assert_eq!(driver.get(Register::ERROR_COUNT), 0);
    assert_eq!(driver.last_error(), (ErrorCode::NONE, NO_QUEUE, 0));
    assert_eq!(driver.get(Register::STATUS), 3);
    assert_eq!(driver.get(Register::IRQ_CAUSE), 2);
}

#[test]
fn errors_raise_vector_0() {
    let mut driver = driver();

    driver.read(0x800, 4);

    assert_eq!(driver.take_interrupts(), [0]);
}

#[test]
fn errors_raise_vector_0_again_while_the_cause_is_set() {
    let mut driver = driver();
    driver.read(0x800, 4);
    driver.take_interrupts();

    driver.read(0x800, 4);

    assert_eq!(driver.take_interrupts(), [0]);
}

#[test]
fn masked_errors_raise_nothing_until_they_are_unmasked() {
    let mut driver = driver();
    driver.set(Register::IRQ_MASK, 2);

    driver.read(0x800, 4);
    let masked = driver.take_interrupts();
    driver.set(Register::IRQ_MASK, 0);

    assert_eq!(masked, []);
    assert_eq!(driver.take_interrupts(), [0]);
}

#[test]
fn unmasking_a_cause_that_was_cleared_raises_nothing() {
    let mut driver = driver();
    driver.set(Register::IRQ_MASK, 3);
    start_armed(&mut driver, 0, 2).carry_out(&mut driver, &nop(0));
    driver.read(0x800, 4);
    driver.set(Register::IRQ_CAUSE, 3);

    driver.set(Register::IRQ_MASK, 0);

    assert_eq!(driver.take_interrupts(), []);
}

#[test]
fn masked_completions_raise_their_vectors_when_they_are_unmasked() {
    let mut driver = driver();
    driver.set(Register::IRQ_MASK, 1);
    start_armed(&mut driver, 0, 1);
    start_armed(&mut driver, 1, 2).carry_out(&mut driver, &nop(0));
    start_armed(&mut driver, 2, 3).carry_out(&mut driver, &nop(0));
    let masked = driver.take_interrupts();

    driver.set(Register::IRQ_MASK, 0);

    assert_eq!(masked, []);
    assert_eq!(driver.take_interrupts(), [2, 3]);
}

#[test]
fn unmasking_raises_owed_vectors_once() {
    let mut driver = driver();
    driver.set(Register::IRQ_MASK, 1);
    start_armed(&mut driver, 1, 2).carry_out(&mut driver, &nop(0));
    driver.set(Register::IRQ_MASK, 0);
    driver.take_interrupts();

    driver.set(Register::IRQ_MASK, 1);
    driver.set(Register::IRQ_MASK, 0);

    assert_eq!(driver.take_interrupts(), []);
}

/// Writes descriptors to the ring of a queue that asks for no interrupt yet.
fn push_nops(driver: &mut TestDriver, count: u32) -> Ring {
    let mut ring = driver.start_ring(0, 1, 8, 2);
    (0..count).for_each(|tag| ring.push(driver, &nop(tag)));
    ring
}

#[test]
fn completion_without_a_waiter_sets_the_cause_and_raises_nothing() {
    let mut driver = driver();
    let ring = push_nops(&mut driver, 1);

    ring.kick(&mut driver);
    driver.run();

    assert_eq!(driver.take_interrupts(), []);
    assert_eq!(driver.get(Register::IRQ_CAUSE), 1);
}

#[test]
fn completion_that_process_or_driver_waits_for_raises_the_vector() {
    for waiter in [Waiter::Process, Waiter::Driver] {
        for index in [0, 2, 4] {
            let mut driver = driver();
            let ring = push_nops(&mut driver, 5);

            ring.arm(&driver, waiter, index);
            ring.kick(&mut driver);
            driver.run();

            assert_eq!(driver.take_interrupts(), [2], "{waiter:?} for {index}");
        }
    }
}

#[test]
fn completion_that_is_still_to_come_raises_nothing() {
    let mut driver = driver();
    let ring = push_nops(&mut driver, 5);

    ring.arm(&driver, Waiter::Process, 5);
    ring.kick(&mut driver);
    driver.run();

    assert_eq!(driver.take_interrupts(), []);
}

#[test]
fn completion_raises_its_vector_once() {
    let mut driver = driver();
    let mut ring = push_nops(&mut driver, 5);
    ring.arm(&driver, Waiter::Process, 4);
    ring.kick(&mut driver);
    driver.run();
    driver.take_interrupts();

    ring.push(&driver, &nop(0));
    ring.kick(&mut driver);
    driver.run();

    assert_eq!(driver.take_interrupts(), []);
}

#[test]
fn process_that_arms_after_the_completion_was_posted_sees_it() {
    let mut driver = driver();
    let ring = push_nops(&mut driver, 1);
    ring.kick(&mut driver);
    let (arm_at, armed) = (Word::InterruptAt.offset(0), Word::CompletionTail.offset(0));
    // Just before the device loads the wishes of the waiters.
    driver.host.interleave(move |host| {
        if host.word(armed) == 1 {
            host.set_word(arm_at, 0);
        }
    });

    driver.run();

    assert_eq!(driver.take_interrupts(), [2]);
}

#[test]
fn masked_completion_without_a_waiter_is_not_owed() {
    let mut driver = driver();
    driver.set(Register::IRQ_MASK, 1);
    let ring = push_nops(&mut driver, 1);
    ring.kick(&mut driver);
    driver.run();

    driver.set(Register::IRQ_MASK, 0);

    assert_eq!(driver.take_interrupts(), []);
}

/// Stops queue 0, which has vector 2 and is not armed, by an error.
fn fail(driver: &mut TestDriver) {
    let ring = push_nops(driver, 1);
    driver.host.unmap(ring.setup.submission_ring);
    ring.kick(driver);
    driver.run();
}

#[test]
fn error_that_stops_a_queue_raises_its_vector_and_that_of_errors() {
    let mut driver = driver();

    fail(&mut driver);

    assert_eq!(driver.take_interrupts(), [0, 2]);
    assert_eq!(driver.get(Register::IRQ_CAUSE), 3);
}

#[test]
fn masked_vector_of_a_queue_that_an_error_stopped_is_owed() {
    let mut driver = driver();
    driver.set(Register::IRQ_MASK, 1);

    fail(&mut driver);
    let masked = driver.take_interrupts();
    driver.set(Register::IRQ_MASK, 0);

    assert_eq!(masked, [0]);
    assert_eq!(driver.take_interrupts(), [2]);
}

#[test]
fn refused_descriptor_raises_the_vector_of_its_queue_only_on_demand() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, 1, 8, 2);
    ring.push(&driver, &fill(0, 0, (9, 0), 8));

    ring.kick(&mut driver);
    driver.run();

    assert_eq!(driver.take_interrupts(), [0]);
}
