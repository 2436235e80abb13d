// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Queue stop, bus mastering and reset end or pause what is in flight.

use ringbar_driver_side::descriptors::{fill, nop, pattern};
use ringbar_model::test_driver::TestDriver;
use ringbar_model::{Config, Location};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::Register;
use ringbar_spec::ring::Status;
use ringbar_spec::setup::{RIGHT_READ, RIGHT_WRITE};

const BOTH: u32 = RIGHT_READ | RIGHT_WRITE;
const DOMAIN: u32 = 1;

fn driver() -> TestDriver {
    TestDriver::new(Config {
        queues: 3,
        vectors: 4,
        device_memory_size: 1 << 20,
        boot_number: 1,
    })
}

#[test]
fn stopped_queue_forgets_its_kick() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    ring.push(&driver, &nop(1));
    ring.kick(&mut driver);

    driver.admin(Register::QUEUE_STOP, 0);

    assert!(!driver.has_work());
}

#[test]
fn stopped_queue_posts_nothing_more() {
    let mut driver = driver();
    driver.open_device_memory(1, DOMAIN, BOTH, 0, 1 << 20);
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    ring.push(&driver, &pattern(0, 1, (1, 0), 1 << 20));
    ring.kick(&mut driver);
    driver.step();
    let before = driver.host.snapshot();

    driver.admin(Register::QUEUE_STOP, 0);
    driver.step();

    assert!(!driver.has_work());
    assert_eq!(driver.host.snapshot(), before);
    assert_eq!(ring.completion_tail(&driver), 0);
}

#[test]
fn bus_mastering_off_keeps_kicks_for_later() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    ring.push(&driver, &nop(1));
    driver.set_bus_master(false);
    ring.kick(&mut driver);
    let work_while_off = driver.has_work();

    driver.set_bus_master(true);
    driver.run();

    assert!(!work_while_off);
    assert_eq!(ring.take_tags(&driver), [1]);
}

#[test]
fn bus_mastering_off_touches_no_memory() {
    let mut driver = driver();
    driver.open_device_memory(1, DOMAIN, BOTH, 0, 1 << 20);
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    ring.push(&driver, &pattern(0, 1, (1, 0), 1 << 20));
    ring.kick(&mut driver);
    driver.step();
    driver.host.start_recording();

    driver.set_bus_master(false);
    driver.step();

    assert_eq!(driver.host.take_record(), []);
}

#[test]
fn operation_goes_on_when_bus_mastering_comes_back() {
    let mut driver = driver();
    driver.open_device_memory(1, DOMAIN, BOTH, 0, 1 << 20);
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    ring.push(&driver, &fill(0, u64::MAX, (1, 0), 1 << 20));
    ring.kick(&mut driver);
    driver.step();
    driver.set_bus_master(false);

    driver.set_bus_master(true);
    driver.run();

    assert_eq!(ring.take(&driver).unwrap().status, Status::OK.0);
    let memory = driver.host.peek(Location::DeviceMemory(0), 1 << 20);
    assert_eq!(memory, vec![0xff; 1 << 20]);
}

#[test]
fn reset_clears_all_shared_words() {
    let mut driver = driver();
    let words = [0, 0x2_0000, 0x3f_0000]
        .into_iter()
        .flat_map(|page| [0x80_0000, 0x80_0040, 0xc0_0000].map(|word| page + word));
    words.clone().for_each(|word| driver.host.set_word(word, 5));

    driver.reset();

    let left: Vec<_> = words.map(|word| driver.host.word(word)).collect();
    assert_eq!(left, [0; 9]);
}

#[test]
fn reset_ends_operations_in_flight() {
    let mut driver = driver();
    driver.open_device_memory(1, DOMAIN, BOTH, 0, 1 << 20);
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    ring.push(&driver, &pattern(0, 1, (1, 0), 1 << 20));
    ring.kick(&mut driver);
    driver.step();
    driver.host.start_recording();

    driver.reset();
    driver.step();

    assert!(!driver.has_work());
    assert_eq!(driver.host.take_record(), []);
}

#[test]
fn reset_closes_windows() {
    let mut driver = driver();
    driver.open_device_memory(1, DOMAIN, BOTH, 0, 1 << 20);

    driver.reset();

    let status = driver.admin(Register::WINDOW_CLOSE, 1);
    assert_eq!(status, ErrorCode::WINDOW_IS_CLOSED);
}

#[test]
fn reset_leaves_the_device_memory_alone() {
    let mut driver = driver();
    driver.host.poke(Location::DeviceMemory(9), &[1, 2, 3]);

    driver.reset();

    assert_eq!(driver.host.peek(Location::DeviceMemory(9), 3), [1, 2, 3]);
}
