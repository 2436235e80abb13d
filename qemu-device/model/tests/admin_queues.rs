// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Admin commands on queues: carried out as asked, or refused by name.

use ringbar_driver_side::descriptors::nop;
use ringbar_model::test_driver::TestDriver;
use ringbar_model::Config;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::pages::OUTCOME;
use ringbar_spec::regs::{Register, NO_QUEUE};
use ringbar_spec::ring::{Status, MAX_ENTRIES};
use ringbar_spec::setup::QueueSetup;

const MEMORY: u64 = 1 << 20;

fn driver() -> TestDriver {
    TestDriver::new(Config {
        queues: 4,
        vectors: 3,
        device_memory_size: MEMORY,
        boot_number: 1,
    })
}

fn queue(driver: &mut TestDriver) -> QueueSetup {
    QueueSetup {
        queue: 1,
        domain: 7,
        submission_ring: driver.allocate(4096),
        completion_ring: driver.allocate(4096),
        submission_entries: 8,
        completion_entries: 16,
        vector: 2,
        ..QueueSetup::default()
    }
}

/// Asserts that starting the changed queue is refused with this log entry.
#[track_caller]
fn queue_refused(change: impl FnOnce(&mut QueueSetup), code: ErrorCode, queue_: u16, value: u64) {
    let mut driver = driver();
    let mut setup = queue(&mut driver);
    change(&mut setup);

    let status = driver.queue_start(&setup);

    assert_eq!(status, code);
    assert_eq!(driver.last_error(), (code, queue_, value));
    assert_eq!(driver.get(Register::STATUS), 7);
}

#[test]
fn queue_starts() {
    let mut driver = driver();
    let setup = queue(&mut driver);

    let status = driver.queue_start(&setup);

    assert_eq!(status, ErrorCode::NONE);
    assert_eq!(driver.get(Register::STATUS), 0x103);
    assert_eq!(driver.get(Register::ERROR_COUNT), 0);
}

#[test]
fn queue_start_stores_the_completion_tail() {
    let mut driver = driver();
    let setup = queue(&mut driver);
    driver.host.set_word(0xc1_0000, 77);

    driver.queue_start(&setup);

    assert_eq!(driver.host.word(0xc1_0000), 0);
}

#[test]
fn queue_start_needs_bus_mastering() {
    let mut driver = driver();
    driver.set_bus_master(false);

    let status = driver.admin(Register::QUEUE_START, 0x40);

    assert_eq!(status, ErrorCode::BUS_MASTER_OFF);
    assert_eq!(
        driver.last_error(),
        (ErrorCode::BUS_MASTER_OFF, NO_QUEUE, 0x40)
    );
}

#[test]
fn queue_start_refuses_a_block_that_is_not_aligned() {
    let mut driver = driver();
    let block = driver.allocate(4096);

    let status = driver.admin(Register::QUEUE_START, block + 32);

    assert_eq!(status, ErrorCode::MISALIGNED);
}

#[test]
fn queue_start_refuses_a_block_that_cannot_be_reached() {
    let mut driver = driver();

    let status = driver.admin(Register::QUEUE_START, 0x40);

    assert_eq!(status, ErrorCode::SETUP_UNREACHABLE);
    assert_eq!(
        driver.last_error(),
        (ErrorCode::SETUP_UNREACHABLE, NO_QUEUE, 0x40)
    );
}

#[test]
fn queue_start_refuses_reserved_fields() {
    queue_refused(
        |setup| setup.reserved[6] = 9,
        ErrorCode::RESERVED_FIELD,
        NO_QUEUE,
        9,
    );
}

#[test]
fn queue_start_refuses_a_queue_that_the_device_does_not_have() {
    queue_refused(|setup| setup.queue = 4, ErrorCode::BAD_QUEUE, NO_QUEUE, 4);
}

#[test]
fn queue_start_refuses_a_queue_number_that_fits_16_bits_only_when_cut() {
    queue_refused(
        |setup| setup.queue = 0x1_0001,
        ErrorCode::BAD_QUEUE,
        NO_QUEUE,
        0x1_0001,
    );
}

#[test]
fn queue_start_refuses_a_running_queue() {
    let mut driver = driver();
    let setup = queue(&mut driver);
    driver.queue_start(&setup);

    let status = driver.queue_start(&setup);

    assert_eq!(status, ErrorCode::QUEUE_RUNS);
    assert_eq!(driver.last_error(), (ErrorCode::QUEUE_RUNS, 1, 1));
}

#[test]
fn queue_start_refuses_entries_other_than_a_power_of_two() {
    queue_refused(
        |setup| setup.submission_entries = 6,
        ErrorCode::BAD_ENTRIES,
        1,
        6,
    );
}

#[test]
fn queue_start_refuses_too_many_entries() {
    queue_refused(
        |setup| setup.completion_entries = 2 * MAX_ENTRIES,
        ErrorCode::BAD_ENTRIES,
        1,
        u64::from(2 * MAX_ENTRIES),
    );
}

#[test]
fn queue_start_refuses_too_few_entries() {
    queue_refused(
        |setup| setup.completion_entries = 1,
        ErrorCode::BAD_ENTRIES,
        1,
        1,
    );
}

#[test]
fn queue_start_refuses_rings_that_are_not_aligned() {
    queue_refused(
        |setup| setup.completion_ring = 0x1008,
        ErrorCode::MISALIGNED,
        1,
        0x1008,
    );
}

#[test]
fn queue_start_refuses_a_ring_that_passes_the_last_address() {
    queue_refused(
        |setup| setup.submission_ring = u64::MAX - 127,
        ErrorCode::BAD_ENTRIES,
        1,
        8,
    );
}

#[test]
fn queue_start_takes_a_ring_that_ends_at_the_last_address() {
    let mut driver = driver();
    let setup = QueueSetup {
        submission_ring: u64::MAX - 511,
        ..queue(&mut driver)
    };

    assert_eq!(driver.queue_start(&setup), ErrorCode::NONE);
}

#[test]
fn queue_start_refuses_a_vector_that_does_not_exist() {
    queue_refused(|setup| setup.vector = 3, ErrorCode::BAD_VECTOR, 1, 3);
}

#[test]
fn queue_stop_stops() {
    let mut driver = driver();
    let setup = queue(&mut driver);
    driver.queue_start(&setup);

    let status = driver.admin(Register::QUEUE_STOP, 1);

    assert_eq!(status, ErrorCode::NONE);
    assert_eq!(driver.get(Register::STATUS), 3);
}

#[test]
fn queue_stop_works_without_bus_mastering() {
    let mut driver = driver();
    let setup = queue(&mut driver);
    driver.queue_start(&setup);
    driver.set_bus_master(false);

    let status = driver.admin(Register::QUEUE_STOP, 1);

    assert_eq!(status, ErrorCode::NONE);
}

#[test]
fn queue_stop_refuses_a_stopped_queue() {
    let mut driver = driver();

    let status = driver.admin(Register::QUEUE_STOP, 2);

    assert_eq!(status, ErrorCode::QUEUE_STOPPED);
    assert_eq!(driver.last_error(), (ErrorCode::QUEUE_STOPPED, 2, 2));
}

#[test]
fn queue_stop_refuses_a_queue_that_the_device_does_not_have() {
    let mut driver = driver();

    let status = driver.admin(Register::QUEUE_STOP, 0x1_0000);

    assert_eq!(status, ErrorCode::BAD_QUEUE);
    assert_eq!(
        driver.last_error(),
        (ErrorCode::BAD_QUEUE, NO_QUEUE, 0x1_0000)
    );
}

#[test]
fn stopped_queue_can_be_started_again_with_empty_rings() {
    let mut driver = driver();
    let mut first = driver.start_ring(0, 7, 4, 0);
    first.carry_out(&mut driver, &nop(1));
    driver.admin(Register::QUEUE_STOP, 0);
    driver.host.set_word(0x80_0000, 0);
    driver.host.set_word(0x80_0040, 0);

    let mut second = driver.start_ring(0, 7, 4, 0);
    let completion = second.carry_out(&mut driver, &nop(2));

    assert_eq!((completion.tag, completion.status), (2, Status::OK.0));
    assert_eq!(second.completion_tail(&driver), 1);
}

#[test]
fn admin_status_stands_until_the_next_admin_command() {
    let mut driver = driver();
    driver.admin(Register::QUEUE_STOP, 2);

    driver.read(0x800, 4);
    driver.set(Register::ERROR_CLEAR, 0);

    let code = ErrorCode::QUEUE_STOPPED.0;
    assert_eq!(driver.get(Register::ADMIN_STATUS), code.into());
}

#[test]
fn admin_status_is_cleared_by_a_command_that_works() {
    let mut driver = driver();
    let setup = queue(&mut driver);
    driver.admin(Register::QUEUE_STOP, 2);

    driver.queue_start(&setup);

    assert_eq!(driver.get(Register::ADMIN_STATUS), 0);
}

#[test]
fn refused_admin_commands_raise_vector_0() {
    let mut driver = driver();

    driver.admin(Register::QUEUE_STOP, 2);

    assert_eq!(driver.take_interrupts(), [0]);
}

#[test]
fn each_admin_command_is_reported_with_its_code_and_the_next_number() {
    let mut driver = driver();
    let report = |driver: &mut TestDriver, register, value| {
        driver.set(register, value);
        driver.host.word(OUTCOME)
    };

    let first = report(&mut driver, Register::QUEUE_STOP, 0);
    let second = report(&mut driver, Register::WINDOW_CLOSE, 1);
    driver.reset();
    let third = report(&mut driver, Register::QUEUE_STOP, 0);

    let stopped = u32::from(ErrorCode::QUEUE_STOPPED.0);
    let closed = u32::from(ErrorCode::WINDOW_IS_CLOSED.0);
    assert_eq!(
        [first, second, third],
        [1 << 16 | stopped, 2 << 16 | closed, 3 << 16 | stopped]
    );
}
