// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Interrupts that are held back, to make them fewer.

use proptest::collection::vec;
use proptest::prelude::*;
use ringbar_driver_side::descriptors::nop;
use ringbar_model::test_driver::{Ring, TestDriver};
use ringbar_model::Config;
use ringbar_spec::regs::{Register, INTERRUPT_MODERATION};
use ringbar_spec::wake::{Waiter, Word};

const CONFIG: Config = Config {
    queues: 4,
    vectors: 5,
    device_memory_size: 16 << 20,
    boot_number: 1,
};
/// Interrupt vector of queue 0.
const VECTOR: u16 = 1;
const MICROSECOND: u64 = 1000;

/// Starts a queue that holds an interrupt back for this many completions and microseconds.
fn moderated(completions: u32, microseconds: u32) -> (TestDriver, Ring) {
    let mut driver = TestDriver::new(CONFIG);
    let ring = driver.start_ring(0, 1, 16, VECTOR);
    moderate(&mut driver, &ring, completions, microseconds);
    (driver, ring)
}

fn moderate(driver: &mut TestDriver, ring: &Ring, completions: u32, microseconds: u32) {
    let value = INTERRUPT_MODERATION::zeroed()
        .with_completions(completions)
        .with_microseconds(microseconds);
    driver.write(offset(ring), 4, value.into_raw().into());
}

fn offset(ring: &Ring) -> u64 {
    let offset = INTERRUPT_MODERATION::INFO.offset_of(ring.queue.into());
    offset.expect("each queue has one") as u64
}

/// Asks for an interrupt for the next completion, then carries descriptors out.
fn complete(driver: &mut TestDriver, ring: &mut Ring, count: u32) {
    let next = ring.word(driver, Word::CompletionTail);
    ring.arm(driver, Waiter::Process, next);
    post(driver, ring, count);
}

fn post(driver: &mut TestDriver, ring: &mut Ring, count: u32) {
    for tag in 0..count {
        ring.push(driver, &nop(tag));
    }
    ring.kick(driver);
    driver.run();
    ring.take_all(driver);
}

fn pass(driver: &mut TestDriver, nanoseconds: u64) -> Vec<u16> {
    driver.now += nanoseconds;
    driver.poll();
    driver.take_interrupts()
}

#[test]
fn interrupt_is_held_back_until_its_time_is_over() {
    let (mut driver, mut ring) = moderated(0, 50);

    complete(&mut driver, &mut ring, 1);

    assert_eq!(driver.take_interrupts(), []);
    assert_eq!(driver.deadline(), Some(driver.now + 50 * MICROSECOND));
    assert_eq!(pass(&mut driver, 50 * MICROSECOND - 1), []);
    assert_eq!(pass(&mut driver, 1), [VECTOR]);
    assert_eq!(driver.deadline(), None);
}

#[test]
fn interrupt_is_raised_once_for_all_completions_of_its_time() {
    let (mut driver, mut ring) = moderated(0, 50);

    for _ in 0..10 {
        complete(&mut driver, &mut ring, 3);
        assert_eq!(pass(&mut driver, MICROSECOND), []);
    }

    // Counted from the first.
    assert_eq!(pass(&mut driver, 40 * MICROSECOND), [VECTOR]);
    assert_eq!(pass(&mut driver, 1000 * MICROSECOND), []);
}

#[test]
fn interrupt_is_raised_with_the_last_of_its_completions() {
    let (mut driver, mut ring) = moderated(3, 50);

    complete(&mut driver, &mut ring, 1);
    complete(&mut driver, &mut ring, 1);
    assert_eq!(driver.take_interrupts(), []);
    complete(&mut driver, &mut ring, 1);

    assert_eq!(driver.take_interrupts(), [VECTOR]);
    assert_eq!(pass(&mut driver, 50 * MICROSECOND), []);
}

#[test]
fn unrequested_completions_count_after_a_requested_one() {
    let (mut driver, mut ring) = moderated(3, 50);

    post(&mut driver, &mut ring, 2);
    assert_eq!(driver.deadline(), None);
    complete(&mut driver, &mut ring, 1);
    post(&mut driver, &mut ring, 1);
    assert_eq!(driver.take_interrupts(), []);
    post(&mut driver, &mut ring, 1);

    assert_eq!(driver.take_interrupts(), [VECTOR]);
}

#[test]
fn unrequested_completions_raise_nothing() {
    let (mut driver, mut ring) = moderated(2, 50);

    post(&mut driver, &mut ring, 5);

    assert_eq!(pass(&mut driver, 1000 * MICROSECOND), []);
}

#[test]
fn without_a_time_or_for_one_completion_nothing_is_held_back() {
    for (completions, microseconds) in [(0, 0), (7, 0), (1, 50)] {
        let (mut driver, mut ring) = moderated(completions, microseconds);

        complete(&mut driver, &mut ring, 1);

        assert_eq!(driver.take_interrupts(), [VECTOR], "{completions}");
    }
}

#[test]
fn queue_that_is_started_holds_nothing_back() {
    let (mut driver, ring) = moderated(0, 50);
    driver.admin(Register::QUEUE_STOP, 0);

    driver.queue_start(&ring.setup);

    assert_eq!(driver.read(offset(&ring), 4), 0);
}

#[test]
fn queue_that_is_stopped_forgets_the_interrupt() {
    let (mut driver, mut ring) = moderated(0, 50);
    complete(&mut driver, &mut ring, 1);

    driver.admin(Register::QUEUE_STOP, 0);

    assert_eq!(pass(&mut driver, 50 * MICROSECOND), []);
    assert_eq!(driver.deadline(), None);
}

#[test]
fn queue_that_an_error_stops_raises_its_vector_at_once() {
    let (mut driver, mut ring) = moderated(0, 50);
    complete(&mut driver, &mut ring, 1);

    ring.submitted = ring.submitted.wrapping_add(1000);
    ring.kick(&mut driver);
    driver.run();

    assert_eq!(driver.take_interrupts(), [0, VECTOR]);
}

#[test]
fn nothing_is_raised_while_bus_mastering_is_off() {
    let (mut driver, mut ring) = moderated(0, 50);
    complete(&mut driver, &mut ring, 1);

    driver.set_bus_master(false);

    assert_eq!(driver.deadline(), None);
    assert_eq!(pass(&mut driver, 50 * MICROSECOND), []);
    driver.set_bus_master(true);
    assert!(driver
        .deadline()
        .is_some_and(|deadline| deadline <= driver.now));
    assert_eq!(pass(&mut driver, 0), [VECTOR]);
}

#[test]
fn masked_interrupt_that_was_held_back_is_raised_when_the_mask_falls() {
    let (mut driver, mut ring) = moderated(0, 50);
    driver.set(Register::IRQ_MASK, 1);
    complete(&mut driver, &mut ring, 1);

    assert_eq!(pass(&mut driver, 50 * MICROSECOND), []);
    driver.set(Register::IRQ_MASK, 0);

    assert_eq!(driver.take_interrupts(), [VECTOR]);
}

#[test]
fn shorter_time_or_smaller_count_ends_the_wait() {
    for (completions, microseconds) in [(0, 20), (2, 50), (0, 0)] {
        let (mut driver, mut ring) = moderated(0, 50);
        complete(&mut driver, &mut ring, 2);
        assert_eq!(pass(&mut driver, 20 * MICROSECOND), []);

        moderate(&mut driver, &ring, completions, microseconds);

        assert!(driver
            .deadline()
            .is_some_and(|deadline| deadline <= driver.now));
        assert_eq!(pass(&mut driver, 0), [VECTOR], "{completions}");
    }
}

#[test]
fn each_queue_has_a_time_of_its_own() {
    let (mut driver, mut first) = moderated(0, 50);
    let mut second = driver.start_ring(1, 1, 16, 2);
    moderate(&mut driver, &second, 0, 20);
    complete(&mut driver, &mut first, 1);
    driver.now += 10 * MICROSECOND;
    complete(&mut driver, &mut second, 1);

    assert_eq!(pass(&mut driver, 20 * MICROSECOND), [2]);
    assert_eq!(driver.deadline(), Some(driver.now + 20 * MICROSECOND));
    assert_eq!(pass(&mut driver, 20 * MICROSECOND), [VECTOR]);
}

#[test]
fn reset_forgets_everything() {
    let (mut driver, mut ring) = moderated(3, 50);
    complete(&mut driver, &mut ring, 1);

    driver.reset();

    assert_eq!(pass(&mut driver, 50 * MICROSECOND), []);
    assert_eq!(driver.read(offset(&ring), 4), 0);
}

#[derive(Clone, Debug)]
enum Action {
    /// Ask for an interrupt for the next completion.
    Arm,
    /// Submit this many descriptors.
    Submit(u32),
    /// Let this many nanoseconds pass, and poll the device when it wants to be.
    Pass(u64),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Arm),
        (1u32..6).prop_map(Action::Submit),
        (0u64..80_000).prop_map(Action::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn requested_completions_are_announced_in_time(
        actions in vec(action(), 1..80),
        completions in 0u32..8,
        microseconds in 0u32..60,
    ) {
        let (mut driver, mut ring) = moderated(completions, microseconds);
        let longest = u64::from(microseconds) * MICROSECOND;
        // Time at which the first wanted completion was posted that is not announced, and the
        // number posted since.
        let mut waits: Option<(u64, u32)> = None;
        let mut armed = None;
        for action in actions {
            match action {
                Action::Arm => {
                    let next = ring.completion_tail(&driver);
                    ring.arm(&driver, Waiter::Process, next);
                    armed = Some(next);
                }
                Action::Submit(count) => {
                    let next = ring.completion_tail(&driver);
                    post(&mut driver, &mut ring, count);
                    if armed.take_if(|armed| *armed == next).is_some() {
                        waits.get_or_insert((driver.now, 0));
                    }
                    if let Some((_, since)) = &mut waits {
                        *since += count;
                    }
                }
                Action::Pass(nanoseconds) => {
                    let end = driver.now + nanoseconds;
                    while let Some(deadline) = driver.deadline().filter(|it| *it <= end) {
                        driver.now = driver.now.max(deadline);
                        driver.poll();
                    }
                    driver.now = end;
                    driver.poll();
                }
            }
            let raised = driver.take_interrupts();
            if !raised.is_empty() {
                prop_assert_eq!(raised, [VECTOR]);
                prop_assert!(waits.is_some());
                waits = None;
            }
            if let Some((first, since)) = waits {
                prop_assert!(driver.now < first + longest);
                prop_assert!(completions == 0 || since < completions);
                prop_assert!(driver.deadline().is_some_and(|it| it <= first + longest));
            }
        }
    }
}
