// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Accesses of BAR 0: widths, parts of registers, and refusals (data sheet 3).

use ringbar_model::test_driver::TestDriver;
use ringbar_model::Config;
use ringbar_spec::access::Access;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::layout::REGISTER_BAR_SIZE;
use ringbar_spec::regs::{Register, NO_QUEUE, RESET_KEY};

const CONFIG: Config = Config {
    queues: 4,
    vectors: 5,
    device_memory_size: 16 << 20,
    boot_number: 1,
};

fn driver() -> TestDriver {
    TestDriver::new(CONFIG)
}

fn refused(code: ErrorCode, offset: u64) -> (ErrorCode, u16, u64) {
    (code, NO_QUEUE, offset)
}

fn of_access(access: Access) -> impl Iterator<Item = Register> {
    let all = Register::ALL.iter().copied();
    all.filter(move |register| register.access() == access)
}

#[test]
fn writes_of_the_error_log_are_dropped_and_logged() {
    for register in [
        Register::STATUS,
        Register::ERROR_COUNT,
        Register::ERROR_LAST,
        Register::ERROR_VALUE,
    ] {
        let mut driver = driver();

        driver.set(register, u64::MAX);

        let offset = register.info().offset as u64;
        assert_eq!(driver.last_error(), refused(ErrorCode::READ_ONLY, offset));
        assert_eq!(driver.get(Register::ERROR_COUNT), 1);
    }
}

#[test]
fn read_write_registers_can_be_written_in_part() {
    let mut driver = driver();
    driver.set(Register::SCRATCH, 0x1111_1111_1111_1111);

    driver.write(0x1b, 1, 0x22);
    driver.write(0x1c, 2, 0x3333);
    driver.write(0x18, 2, 0x4444);

    assert_eq!(driver.get(Register::SCRATCH), 0x1111_3333_2211_4444);
}

#[test]
fn registers_can_be_read_in_part() {
    let mut driver = driver();
    driver.set(Register::SCRATCH, 0x8877_6655_4433_2211);

    let parts = [(0x18, 1), (0x1f, 1), (0x1a, 2), (0x1c, 4)];

    let read = parts.map(|(offset, width)| driver.read(offset, width));
    assert_eq!(read, [0x11, 0x88, 0x4433, 0x8877_6655]);
}

#[test]
fn two_neighbours_can_be_read_at_once() {
    let mut driver = driver();

    let both = driver.read(0x0, 8);

    let ident = driver.get(Register::IDENT);
    let version = driver.get(Register::VERSION);
    assert_eq!(both, version << 32 | ident);
}

#[test]
fn write_of_a_read_only_register_and_its_neighbour_is_dropped_whole() {
    let mut driver = driver();
    driver.admin(Register::QUEUE_STOP, 99);

    driver.write(0x10, 8, u64::MAX);

    assert_eq!(driver.get(Register::IRQ_CAUSE), 2);
    assert_eq!(driver.last_error(), refused(ErrorCode::READ_ONLY, 0x10));
}

#[test]
fn write_only_registers_read_0_and_log_it() {
    let mut driver = driver();

    for register in of_access(Access::WriteOnly) {
        assert_eq!(driver.get(register), 0, "{register:?}");
        let offset = register.info().offset as u64;
        assert_eq!(driver.last_error(), refused(ErrorCode::WRITE_ONLY, offset));
    }
}

#[test]
fn command_registers_refuse_a_part() {
    let mut driver = driver();
    let commands = of_access(Access::WriteOnly).chain(of_access(Access::Command));

    for register in commands {
        let offset = register.info().offset as u64;

        driver.write(offset, 2, 0);

        assert_eq!(
            driver.last_error(),
            refused(ErrorCode::BAD_WIDTH, offset),
            "{register:?}"
        );
    }
}

#[test]
fn command_registers_refuse_an_access_that_covers_a_neighbour() {
    let mut driver = driver();

    driver.write(0x1_0000, 8, u64::MAX << 32 | u64::from(RESET_KEY));

    assert_eq!(driver.last_error(), refused(ErrorCode::BAD_WIDTH, 0x1_0000));
    assert_eq!(driver.get(Register::IRQ_MASK), 0);
    assert_eq!(
        driver.get(Register::RESET_GENERATION),
        CONFIG.boot_number.into()
    );
}

#[test]
fn command_registers_refuse_a_read_of_a_part() {
    let mut driver = driver();

    let read = driver.read(0x3f_0000, 2);

    assert_eq!(read, 0);
    assert_eq!(
        driver.last_error(),
        refused(ErrorCode::BAD_WIDTH, 0x3f_0000)
    );
}

#[test]
fn kick_of_a_queue_the_device_does_not_have_is_reserved() {
    let mut driver = driver();

    driver.write(0x44_0000, 4, 0);

    assert_eq!(
        driver.last_error(),
        refused(ErrorCode::RESERVED_REGISTER, 0x44_0000)
    );
}

#[test]
fn kick_of_a_stopped_queue_does_nothing() {
    let mut driver = driver();

    driver.write(0x3f_0000, 4, 0);

    assert!(!driver.has_work());
    assert_eq!(driver.get(Register::ERROR_COUNT), 0);
}

#[test]
fn bytes_without_a_register_read_0_and_are_logged() {
    let mut driver = driver();

    for offset in [
        0x34, 0x50, 0x800, 0xffc, 0x1_0028, 0x2_0000, 0x3f_0004, 0xff_fffc,
    ] {
        assert_eq!(driver.read(offset, 4), 0);
        assert_eq!(
            driver.last_error(),
            refused(ErrorCode::RESERVED_REGISTER, offset)
        );
    }
}

#[test]
fn access_that_is_reserved_in_part_does_nothing() {
    let mut driver = driver();

    let read = driver.read(0x30, 8);

    assert_eq!(read, 0);
    assert_eq!(
        driver.last_error(),
        refused(ErrorCode::RESERVED_REGISTER, 0x30)
    );
}

#[test]
fn shared_words_are_reserved_when_they_are_trapped() {
    let mut driver = driver();

    for offset in [0x80_0000, 0x80_0040, 0xc0_0000] {
        driver.write(offset, 4, 1);

        assert_eq!(
            driver.last_error(),
            refused(ErrorCode::RESERVED_REGISTER, offset)
        );
    }
}

#[test]
fn accesses_beyond_the_bar_are_reserved() {
    let mut driver = driver();

    for offset in [REGISTER_BAR_SIZE as u64, 1 << 40, u64::MAX - 7] {
        driver.write(offset, 8, 1);

        assert_eq!(
            driver.last_error(),
            refused(ErrorCode::RESERVED_REGISTER, offset)
        );
    }
}

#[test]
fn widths_other_than_1_2_4_and_8_are_refused() {
    let mut driver = driver();

    for width in [0, 3, 5, 6, 7, 9, 4096] {
        let mut data = vec![0xff; width];
        let _ = driver.device.read(0, &mut data, 0);

        assert_eq!(data, vec![0; width]);
        assert_eq!(driver.last_error(), refused(ErrorCode::BAD_WIDTH, 0));
    }
}

#[test]
fn accesses_that_are_not_aligned_are_refused() {
    let mut driver = driver();

    for (offset, width) in [(0x19, 2), (0x1a, 4), (0x1c, 8), (0x3, 4)] {
        driver.write(offset, width, u64::MAX);

        assert_eq!(
            driver.last_error(),
            refused(ErrorCode::BAD_ALIGNMENT, offset)
        );
    }
    assert_eq!(driver.get(Register::SCRATCH), 0);
}
