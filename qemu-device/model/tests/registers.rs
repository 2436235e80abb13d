// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Values of the registers, and effects of writes (data sheet 4).

use ringbar_model::test_driver::TestDriver;
use ringbar_model::Config;
use ringbar_spec::access::Access;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::names::REPORTED;
use ringbar_spec::regs::{Register, KICK_ANSWER, NO_QUEUE, RESET_KEY};
use ringbar_spec::{ring, setup};

const CONFIG: Config = Config {
    queues: 4,
    vectors: 5,
    device_memory_size: 16 << 20,
    boot_number: 1,
};

fn driver() -> TestDriver {
    TestDriver::new(CONFIG)
}

/// Returns a driver of a device with this boot number.
fn booted(boot_number: u32) -> TestDriver {
    TestDriver::new(Config {
        boot_number,
        ..CONFIG
    })
}

/// Makes a device at power-on, with bus mastering off.
fn fresh() -> TestDriver {
    let mut driver = driver();
    driver.set_bus_master(false);
    driver
}

fn refused(code: ErrorCode, offset: u64) -> (ErrorCode, u16, u64) {
    (code, NO_QUEUE, offset)
}

fn of_access(access: Access) -> impl Iterator<Item = Register> {
    let all = Register::ALL.iter().copied();
    all.filter(move |register| register.access() == access)
}

fn readable() -> impl Iterator<Item = Register> {
    of_access(Access::ReadOnly)
        .chain(of_access(Access::ReadWrite))
        .chain(of_access(Access::WriteOneToClear))
        .chain(of_access(Access::Command))
}

#[test]
fn every_readable_register_has_its_documented_value_at_power_on() {
    let mut driver = fresh();

    let read: Vec<_> = readable()
        .filter(|register| register.reset_value().is_some())
        .map(|register| (register, Some(driver.get(register))))
        .collect();

    let documented: Vec<_> = read
        .iter()
        .map(|&(register, _)| (register, register.reset_value()))
        .collect();
    assert_eq!(read, documented);
}

#[test]
fn every_readable_register_has_its_documented_value_after_a_reset() {
    let mut driver = fresh();
    driver.set(Register::SCRATCH, u64::MAX);
    driver.set(Register::IRQ_MASK, u64::MAX);
    driver.admin(Register::QUEUE_STOP, 99);
    driver.now += 500;

    driver.reset();

    let read: Vec<_> = readable()
        .filter(|register| register.reset_value().is_some())
        .map(|register| (register, Some(driver.get(register))))
        .collect();
    let documented: Vec<_> = read
        .iter()
        .map(|&(register, _)| (register, register.reset_value()))
        .collect();
    assert_eq!(read, documented);
}

#[test]
fn limits_show_the_configuration_of_the_device() {
    let mut driver = driver();

    let limits = [
        Register::QUEUE_LIMITS,
        Register::WINDOW_LIMITS,
        Register::LENGTH_LIMIT,
    ]
    .map(|register| driver.get(register));

    assert_eq!(
        limits,
        [
            u64::from(ring::MAX_ENTRIES) << 16 | 4,
            u64::from(setup::MAX_SEGMENTS) << 16 | u64::from(setup::MAX_WINDOWS),
            u64::from(ring::MAX_LENGTH),
        ]
    );
}

#[test]
fn status_shows_bus_mastering() {
    let mut driver = driver();

    let on = driver.get(Register::STATUS);
    driver.set_bus_master(false);
    let off = driver.get(Register::STATUS);

    assert_eq!((on, off), (3, 1));
}

#[test]
fn status_counts_running_queues() {
    let mut driver = driver();

    driver.start_ring(0, 1, 4, 1);
    driver.start_ring(3, 1, 4, 1);

    assert_eq!(driver.get(Register::STATUS), 0x203);
}

#[test]
fn counter_counts_from_the_first_access_on() {
    let mut driver = driver();
    driver.get(Register::IDENT);

    driver.now += 12_345;

    assert_eq!(driver.get(Register::COUNTER), 12_345);
}

#[test]
fn counter_starts_again_with_a_reset() {
    let mut driver = driver();
    driver.get(Register::IDENT);
    driver.now += 12_345;
    driver.reset();

    driver.now += 7;

    assert_eq!(driver.get(Register::COUNTER), 7);
}

#[test]
fn counter_stays_at_0_when_the_clock_goes_back() {
    let mut driver = driver();
    driver.get(Register::IDENT);

    driver.now -= 1;

    assert_eq!(driver.get(Register::COUNTER), 0);
}

#[test]
fn reset_generation_starts_at_the_boot_number_and_steps_with_each_reset() {
    let mut driver = booted(70);

    let first = driver.get(Register::RESET_GENERATION);
    driver.reset();
    driver.set(Register::RESET, RESET_KEY.into());

    assert_eq!((first, driver.get(Register::RESET_GENERATION)), (70, 72));
}

#[test]
fn boot_number_stays_over_resets() {
    let mut driver = booted(70);

    let first = driver.get(Register::BOOT_NUMBER);
    driver.reset();

    assert_eq!((first, driver.get(Register::BOOT_NUMBER)), (70, 70));
}

#[test]
fn read_only_registers_keep_their_value_and_log_a_write() {
    let mut driver = driver();
    let registers: Vec<_> = of_access(Access::ReadOnly)
        .filter(|register| {
            !register.info().name.starts_with("ERROR_") && *register != Register::STATUS
        })
        .collect();

    for register in registers {
        let before = driver.get(register);
        driver.set(register, !before);

        assert_eq!(driver.get(register), before, "{register:?}");
        let offset = register.info().offset as u64;
        assert_eq!(
            driver.last_error(),
            refused(ErrorCode::READ_ONLY, offset),
            "{register:?}"
        );
    }
}

#[test]
fn read_write_registers_keep_the_bits_that_have_a_field() {
    let mut driver = driver();

    for register in of_access(Access::ReadWrite) {
        driver.set(register, u64::MAX);

        let mask = register.info().field_mask();
        assert_eq!(driver.get(register), mask, "{register:?}");
    }
    assert_eq!(driver.get(Register::ERROR_COUNT), 0);
}

#[test]
fn kick_answers_its_word_for_every_queue_of_the_device() {
    let mut driver = driver();

    let answers = [0x3f_0000, 0x40_0000, 0x41_0000, 0x42_0000].map(|offset| driver.read(offset, 4));

    assert_eq!(answers, [u64::from(KICK_ANSWER); 4]);
}

#[test]
fn reset_obeys_its_key_only() {
    let mut driver = driver();
    driver.set(Register::SCRATCH, 5);

    driver.set(Register::RESET, 1);

    assert_eq!(driver.get(Register::SCRATCH), 5);
    assert_eq!(driver.last_error(), refused(ErrorCode::BAD_VALUE, 1));
}

#[test]
fn reset_keeps_bus_mastering() {
    let mut driver = driver();

    driver.set(Register::RESET, RESET_KEY.into());

    assert_eq!(driver.get(Register::STATUS), 3);
}

#[test]
fn invalid_configurations_are_refused() {
    let wrong = [
        Config {
            queues: 0,
            ..CONFIG
        },
        Config {
            queues: 65,
            ..CONFIG
        },
        Config {
            vectors: 0,
            ..CONFIG
        },
        Config {
            vectors: 66,
            ..CONFIG
        },
        Config {
            device_memory_size: 0,
            ..CONFIG
        },
        Config {
            device_memory_size: 128 << 10,
            ..CONFIG
        },
        Config {
            device_memory_size: 3 << 20,
            ..CONFIG
        },
        Config {
            device_memory_size: 2 << 30,
            ..CONFIG
        },
        Config {
            boot_number: 0,
            ..CONFIG
        },
        Config {
            boot_number: 1 << 31,
            ..CONFIG
        },
    ];

    let made = wrong.map(|config| ringbar_model::Device::new(config).is_ok());

    assert_eq!(made, [false; 10]);
}

#[test]
fn report_page_has_the_constants_of_the_registers_from_power_on() {
    let mut driver = driver();

    for (register, offset) in REPORTED {
        let reported = u64::from(driver.host.word(offset));
        assert_eq!(reported, driver.get(register), "{register:?}");
        assert_ne!(reported, 0, "{register:?}");
    }
}
