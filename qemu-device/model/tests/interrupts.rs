// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The error log, interrupt causes and interrupt masks.

use ringbar_model::test_driver::{nop, Ring, TestDriver};
use ringbar_model::Config;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::{Register, NO_QUEUE};
use ringbar_spec::wake::Waiter;

const CONFIG: Config = Config {
    queues: 4,
    vectors: 5,
    device_memory_size: 16 << 20,
};

fn driver() -> TestDriver {
    TestDriver::new(CONFIG)
}

/// A queue that wants an interrupt for its first completion.
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
