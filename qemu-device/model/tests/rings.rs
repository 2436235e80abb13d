// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Rings and doorbells: which descriptors are taken, in which order, and when a queue waits.

use ringbar_driver_side::descriptors::{copy, fill, nop, pattern};
use ringbar_model::test_driver::{Ring, TestDriver};
use ringbar_model::{Config, Location};
use ringbar_spec::regs::{Register, IRQ_CAUSE};
use ringbar_spec::ring::{Descriptor, Status};
use ringbar_spec::setup::{QueueSetup, RIGHT_READ, RIGHT_WRITE};
use ringbar_spec::wake::Waiter;

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
fn nothing_happens_without_a_kick() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    ring.push(&driver, &nop(1));

    ring.ring(&driver);
    driver.step();

    assert_eq!(ring.completion_tail(&driver), 0);
}

#[test]
fn kick_asks_for_work() {
    let mut driver = driver();
    let ring = driver.start_ring(0, DOMAIN, 4, 1);

    ring.kick(&mut driver);

    assert!(driver.has_work());
}

#[test]
fn kick_without_a_descriptor_does_nothing() {
    let mut driver = driver();
    let ring = driver.start_ring(0, DOMAIN, 4, 1);

    ring.kick(&mut driver);
    driver.run();

    assert_eq!(driver.take_interrupts(), []);
    assert_eq!(driver.get(Register::ERROR_COUNT), 0);
}

#[test]
fn descriptors_complete_in_order() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 8, 1);
    (10..18).for_each(|tag| ring.push(&driver, &nop(tag)));

    ring.kick(&mut driver);
    driver.run();

    assert_eq!(ring.take_tags(&driver), (10..18).collect::<Vec<_>>());
}

#[test]
fn operations_take_effect_in_order() {
    let mut driver = driver();
    driver.open_device_memory(1, DOMAIN, BOTH, 0, 1 << 20);
    let mut ring = driver.start_ring(0, DOMAIN, 8, 1);
    ring.push(&driver, &fill(0, 0x1111_1111_1111_1111, (1, 0), 200_000));
    ring.push(&driver, &copy(1, (1, 0), (1, 500_000), 200_000));
    ring.push(&driver, &fill(2, 0x2222_2222_2222_2222, (1, 0), 200_000));

    ring.kick(&mut driver);
    driver.run();

    let copied = driver.host.peek(Location::DeviceMemory(500_000), 200_000);
    assert_eq!(copied, vec![0x11; 200_000]);
}

#[test]
fn completion_carries_tag_and_status_and_nothing_else() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);

    let completion = ring.carry_out(&mut driver, &nop(0xdead_beef));

    assert_eq!(completion.tag, 0xdead_beef);
    assert_eq!(completion.status, Status::OK.0);
    assert_eq!((completion.reserved, completion.result), (0, 0));
}

#[test]
fn completion_raises_the_vector_of_the_queue() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 3);
    ring.arm(&driver, Waiter::Process, 0);

    ring.carry_out(&mut driver, &nop(0));

    assert_eq!(driver.take_interrupts(), [3]);
    let cause = IRQ_CAUSE::from_raw(driver.get(Register::IRQ_CAUSE) as u32);
    assert_eq!(cause, IRQ_CAUSE::zeroed().with_completion(true));
}

#[test]
fn completion_raises_its_vector_while_the_cause_is_set() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 3);
    ring.carry_out(&mut driver, &nop(0));
    driver.take_interrupts();

    ring.arm(&driver, Waiter::Process, 1);
    ring.carry_out(&mut driver, &nop(1));

    assert_eq!(driver.take_interrupts(), [3]);
}

#[test]
fn rings_wrap_many_times() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    let mut seen = Vec::new();

    for round in 0..25 {
        (0..3).for_each(|n| ring.push(&driver, &nop(round * 3 + n)));
        ring.kick(&mut driver);
        driver.run();
        seen.extend(ring.take_tags(&driver));
    }

    assert_eq!(seen, (0..75).collect::<Vec<_>>());
}

#[test]
fn rings_of_different_sizes_wrap_each_at_its_end() {
    let mut driver = driver();
    let mut ring = Ring {
        queue: 0,
        setup: QueueSetup {
            domain: DOMAIN,
            submission_ring: driver.allocate(2 * 64),
            completion_ring: driver.allocate(16 * 16),
            submission_entries: 2,
            completion_entries: 16,
            ..QueueSetup::default()
        },
        submitted: 0,
        taken: 0,
    };
    driver.queue_start(&ring.setup);

    for tag in 0..10 {
        ring.push(&driver, &nop(tag));
        ring.kick(&mut driver);
        driver.run();
    }

    assert_eq!(ring.take_tags(&driver), (0..10).collect::<Vec<_>>());
}

#[test]
fn full_completion_ring_pauses_the_queue_until_a_kick() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    (0..4).for_each(|tag| ring.push(&driver, &nop(tag)));
    ring.kick(&mut driver);
    driver.run();
    (4..6).for_each(|tag| ring.push(&driver, &nop(tag)));
    ring.kick(&mut driver);
    driver.run();
    let paused_at = ring.completion_tail(&driver);

    let mut seen = ring.take_tags(&driver);
    ring.kick(&mut driver);
    driver.run();
    seen.extend(ring.take_tags(&driver));

    assert_eq!(paused_at, 4);
    assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
    assert_eq!(driver.get(Register::ERROR_COUNT), 0);
}

#[test]
fn completion_that_is_not_taken_is_not_overwritten() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 2, 1);
    (0..2).for_each(|tag| ring.push(&driver, &nop(tag)));
    ring.kick(&mut driver);
    driver.run();

    ring.push(&driver, &nop(2));
    ring.kick(&mut driver);
    driver.run();

    assert_eq!(ring.take(&driver).unwrap().tag, 0);
}

#[test]
fn doorbell_is_read_again_before_the_queue_goes_idle() {
    let mut driver = driver();
    driver.open_device_memory(1, DOMAIN, BOTH, 0, 1 << 20);
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    ring.push(&driver, &fill(0, 1, (1, 0), 100_000));
    ring.kick(&mut driver);
    driver.step();

    ring.push(&driver, &nop(1));
    ring.ring(&driver);
    driver.run();

    assert_eq!(ring.take_tags(&driver), [0, 1]);
}

#[test]
fn queues_take_turns() {
    let mut driver = driver();
    driver.open_device_memory(1, DOMAIN, BOTH, 0, 1 << 20);
    let mut long = driver.start_ring(0, DOMAIN, 4, 1);
    let mut short = driver.start_ring(1, DOMAIN, 4, 2);
    long.push(&driver, &pattern(0, 1, (1, 0), 1 << 20));
    short.push(&driver, &nop(1));
    long.kick(&mut driver);
    short.kick(&mut driver);

    driver.step();
    driver.step();

    assert_eq!(short.completion_tail(&driver), 1);
    assert_eq!(long.completion_tail(&driver), 0);
}

#[test]
fn step_does_at_most_64_descriptors() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 256, 1);
    (0..256).for_each(|tag| ring.push(&driver, &nop(tag)));
    ring.kick(&mut driver);

    driver.step();

    assert_eq!(ring.completion_tail(&driver), 64);
}

#[test]
fn step_raises_the_vector_once_for_all_its_completions() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 64, 1);
    (0..64).for_each(|tag| ring.push(&driver, &nop(tag)));
    ring.arm(&driver, Waiter::Process, 5);
    ring.arm(&driver, Waiter::Driver, 63);
    ring.kick(&mut driver);

    let effects = driver.device.step(&*driver.host);

    assert_eq!(effects.interrupts.iter().collect::<Vec<_>>(), [1]);
}

#[test]
fn descriptors_are_copied_before_they_are_checked() {
    let mut driver = driver();
    driver.open_device_memory(1, DOMAIN, BOTH, 0, 1 << 20);
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    ring.push(&driver, &fill(0, u64::MAX, (1, 0), 1 << 20));
    ring.kick(&mut driver);
    driver.step();

    let entry = Location::Guest(ring.setup.submission_ring);
    driver.host.poke(entry, &[0xff; size_of::<Descriptor>()]);
    driver.run();

    assert_eq!(ring.take(&driver).unwrap().status, Status::OK.0);
}
