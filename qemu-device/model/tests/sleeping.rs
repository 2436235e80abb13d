// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Polling and sleep of queues: no doorbell is lost between the two.

use proptest::collection::vec;
use proptest::prelude::*;
use ringbar_driver_side::descriptors::{nop, pattern};
use ringbar_model::test_driver::{Ring, TestDriver};
use ringbar_model::Config;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::pages::{QUEUE_RUNNING, QUEUE_STOPPED};
use ringbar_spec::regs::Register;
use ringbar_spec::setup::{RIGHT_READ, RIGHT_WRITE};
use ringbar_spec::wake::Word;
use std::cell::Cell;
use std::rc::Rc;

const DOMAIN: u32 = 1;
const QUEUES: u16 = 3;

fn driver() -> TestDriver {
    let mut driver = TestDriver::new(Config {
        queues: QUEUES,
        vectors: 4,
        device_memory_size: 1 << 20,
        boot_number: 1,
    });
    driver.open_device_memory(1, DOMAIN, RIGHT_READ | RIGHT_WRITE, 0, 1 << 20);
    driver
}

/// Starts a queue, kicks it, and gives it nothing to do.
fn start_awake(driver: &mut TestDriver, queue: u16) -> Ring {
    let ring = driver.start_ring(queue, DOMAIN, 4, 1);
    ring.kick(driver);
    driver.run();
    ring
}

fn sleeps(driver: &TestDriver, ring: &Ring) -> bool {
    ring.word(driver, Word::Sleeping) != 0
}

fn state(driver: &TestDriver, ring: &Ring) -> u32 {
    ring.word(driver, Word::QueueState)
}

fn heartbeat(driver: &TestDriver, ring: &Ring) -> u32 {
    ring.word(driver, Word::Heartbeat)
}

/// Writes a descriptor and rings, without a kick.
fn submit(driver: &TestDriver, ring: &mut Ring, tag: u32) {
    ring.push(driver, &nop(tag));
    ring.ring(driver);
}

#[test]
fn queue_is_started_asleep() {
    let mut driver = driver();

    let ring = driver.start_ring(0, DOMAIN, 4, 1);

    assert!(sleeps(&driver, &ring));
    assert!(!driver.is_awake());
    assert_eq!(state(&driver, &ring), QUEUE_RUNNING);
}

#[test]
fn kick_is_answered_when_the_queue_is_awake() {
    let mut driver = driver();
    let ring = driver.start_ring(0, DOMAIN, 4, 1);

    ring.kick(&mut driver);

    assert!(!sleeps(&driver, &ring));
    assert!(driver.is_awake());
}

#[test]
fn kick_wakes_no_other_queue() {
    let mut driver = driver();
    let other = driver.start_ring(1, DOMAIN, 4, 1);
    let ring = driver.start_ring(0, DOMAIN, 4, 1);

    ring.kick(&mut driver);
    driver.rest();

    assert!(sleeps(&driver, &other));
    assert_eq!(heartbeat(&driver, &other), 0);
}

#[test]
fn doorbell_of_a_sleeping_queue_is_not_seen() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);

    submit(&driver, &mut ring, 1);

    assert!(!driver.poll());
}

#[test]
fn doorbell_of_an_awake_queue_is_seen_without_a_kick() {
    let mut driver = driver();
    let mut ring = start_awake(&mut driver, 0);

    submit(&driver, &mut ring, 1);
    let found = driver.poll();
    driver.run();

    assert!(found);
    assert_eq!(ring.take_tags(&driver), [1]);
}

#[test]
fn poll_without_news_asks_for_no_work() {
    let mut driver = driver();
    start_awake(&mut driver, 0);

    assert!(!driver.poll());
    assert!(driver.is_awake());
}

#[test]
fn tail_too_far_ahead_is_found_by_polling() {
    let mut driver = driver();
    let ring = start_awake(&mut driver, 0);
    driver.host.set_word(Word::SubmissionTail.offset(0), 5);

    driver.poll();
    driver.run();

    assert_eq!(driver.last_error(), (ErrorCode::BAD_TAIL, 0, 5));
    assert_eq!(state(&driver, &ring), ErrorCode::BAD_TAIL.0.into());
}

#[test]
fn heartbeat_steps_with_each_pass_while_the_queue_is_awake() {
    let mut driver = driver();
    let ring = start_awake(&mut driver, 0);

    let beats = [(); 3].map(|()| {
        driver.poll();
        heartbeat(&driver, &ring)
    });

    assert_eq!(beats, [1, 2, 3]);
}

#[test]
fn heartbeat_steps_while_the_queue_has_work() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    ring.push(&driver, &pattern(0, 1, (1, 0), 1 << 20));
    ring.kick(&mut driver);
    driver.step();

    driver.poll();

    assert!(driver.has_work());
    assert_eq!(heartbeat(&driver, &ring), 1);
}

#[test]
fn heartbeat_stands_still_while_the_queue_sleeps() {
    let mut driver = driver();
    let ring = start_awake(&mut driver, 0);
    driver.poll();
    driver.sleep();

    driver.poll();

    assert_eq!(heartbeat(&driver, &ring), 1);
}

#[test]
fn queue_without_work_goes_to_sleep() {
    let mut driver = driver();
    let ring = start_awake(&mut driver, 0);

    driver.sleep();

    assert!(sleeps(&driver, &ring));
    assert!(!driver.is_awake());
    assert!(!driver.has_work());
}

#[test]
fn queue_with_work_does_not_go_to_sleep() {
    let mut driver = driver();
    let idle = start_awake(&mut driver, 0);
    let busy = driver.start_ring(1, DOMAIN, 4, 1);
    busy.kick(&mut driver);

    driver.sleep();

    assert!(sleeps(&driver, &idle));
    assert!(!sleeps(&driver, &busy));
    assert!(driver.is_awake());
}

#[test]
fn queue_that_slept_is_woken_by_the_next_kick() {
    let mut driver = driver();
    let mut ring = start_awake(&mut driver, 0);
    driver.sleep();

    ring.push(&driver, &nop(7));
    ring.kick(&mut driver);
    driver.run();

    assert!(!sleeps(&driver, &ring));
    assert_eq!(ring.take_tags(&driver), [7]);
}

#[test]
fn doorbell_between_announcement_and_second_look_keeps_the_queue_awake() {
    let mut driver = driver();
    let mut ring = start_awake(&mut driver, 0);
    ring.push(&driver, &nop(7));
    driver.host.interleave(|host| {
        if host.word(Word::Sleeping.offset(0)) != 0 {
            host.set_word(Word::SubmissionTail.offset(0), 1);
        }
    });

    driver.sleep();
    let (asleep, work) = (sleeps(&driver, &ring), driver.has_work());
    driver.run();

    assert_eq!((asleep, work), (false, true));
    assert_eq!(ring.take_tags(&driver), [7]);
}

/// Runs a producer while the device goes to sleep. It stores a word of the doorbell page at one
/// moment, and looks whether to kick at a later one. Returns whether it was to kick.
fn sleep_against(
    driver: &mut TestDriver,
    word: usize,
    value: u32,
    store_at: u32,
    look_at: u32,
) -> bool {
    let (moment, kick) = (Cell::new(0), Rc::new(Cell::new(None)));
    let told = Rc::clone(&kick);
    driver.host.interleave(move |host| {
        if moment.get() == store_at {
            host.set_word(word, value);
        }
        if moment.get() == look_at {
            told.set(Some(host.word(Word::Sleeping.offset(0)) != 0));
        }
        moment.set(moment.get() + 1);
    });
    driver.sleep();
    driver.host.interleave(|_| ());
    // Moments behind all steps of the device come now.
    driver.host.set_word(word, value);
    kick.get()
        .unwrap_or_else(|| driver.host.word(Word::Sleeping.offset(0)) != 0)
}

/// More moments than there are loads, stores and fences in going to sleep.
const MOMENTS: u32 = 7;

#[test]
fn descriptor_submitted_at_any_moment_of_going_to_sleep_is_carried_out() {
    for (store_at, look_at) in moments() {
        let mut driver = driver();
        let mut ring = start_awake(&mut driver, 0);
        ring.push(&driver, &nop(7));

        let tail = Word::SubmissionTail.offset(0);
        if sleep_against(&mut driver, tail, 1, store_at, look_at) {
            ring.kick(&mut driver);
        }
        driver.rest();

        assert_eq!(ring.take_tags(&driver), [7], "at {store_at} and {look_at}");
    }
}

#[test]
fn room_made_at_any_moment_of_going_to_sleep_is_used() {
    for (store_at, look_at) in moments() {
        let mut driver = driver();
        let mut ring = start_full(&mut driver);
        let tags = ring.take_tags(&driver);

        let head = Word::CompletionHead.offset(0);
        if sleep_against(&mut driver, head, 4, store_at, look_at) {
            ring.kick(&mut driver);
        }
        driver.rest();

        assert_eq!(tags, [0, 1, 2, 3]);
        assert_eq!(
            ring.take_tags(&driver),
            [4, 5],
            "at {store_at} and {look_at}"
        );
    }
}

fn moments() -> impl Iterator<Item = (u32, u32)> {
    (0..MOMENTS).flat_map(|store| (store..MOMENTS).map(move |look| (store, look)))
}

/// Starts a queue that is awake, has two descriptors to do, and no room for their completions.
fn start_full(driver: &mut TestDriver) -> Ring {
    let mut ring = start_awake(driver, 0);
    (0..4).for_each(|tag| submit(driver, &mut ring, tag));
    driver.poll();
    driver.run();
    (4..6).for_each(|tag| submit(driver, &mut ring, tag));
    driver.poll();
    driver.run();
    ring
}

#[test]
fn full_completion_ring_asks_for_no_work() {
    let mut driver = driver();
    start_full(&mut driver);

    assert!(!driver.poll());
}

#[test]
fn room_in_the_completion_ring_is_seen_by_polling() {
    let mut driver = driver();
    let mut ring = start_full(&mut driver);
    let mut tags = ring.take_tags(&driver);
    ring.ring(&driver);

    driver.poll();
    driver.run();

    tags.extend(ring.take_tags(&driver));
    assert_eq!(tags, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn queue_that_waits_for_room_may_sleep() {
    let mut driver = driver();
    let ring = start_full(&mut driver);

    driver.sleep();

    assert!(sleeps(&driver, &ring));
}

#[test]
fn doorbell_is_seen_while_another_queue_has_long_work() {
    let mut driver = driver();
    let mut long = driver.start_ring(0, DOMAIN, 4, 1);
    let mut short = start_awake(&mut driver, 1);
    long.push(&driver, &pattern(0, 1, (1, 0), 1 << 20));
    long.kick(&mut driver);
    driver.step();

    submit(&driver, &mut short, 9);
    driver.poll();
    driver.step();

    assert_eq!(short.take_tags(&driver), [9]);
    assert_eq!(long.completion_tail(&driver), 0);
}

#[test]
fn queues_that_are_always_fed_take_turns() {
    let mut driver = driver();
    let mut rings = [0, 1, 2].map(|queue| start_awake(&mut driver, queue));

    for _ in 0..30 {
        for ring in &mut rings {
            ring.take_all(&driver);
            while ring.submitted.wrapping_sub(ring.taken) < 4 {
                submit(&driver, ring, 0);
            }
        }
        driver.poll();
        driver.step();
    }

    let done = rings.map(|ring| ring.completion_tail(&driver));
    assert_eq!(done, [40; 3]);
}

#[test]
fn bus_mastering_off_freezes_awake_queues() {
    let mut driver = driver();
    let mut ring = start_awake(&mut driver, 0);
    driver.set_bus_master(false);
    let awake = driver.is_awake();

    submit(&driver, &mut ring, 5);
    driver.poll();
    driver.sleep();

    assert!(!awake, "asked to be polled");
    assert!(!sleeps(&driver, &ring));
    assert_eq!(heartbeat(&driver, &ring), 0);
    assert_eq!(ring.completion_tail(&driver), 0);
}

#[test]
fn no_queue_goes_to_sleep_while_bus_mastering_is_off() {
    let mut driver = driver();
    let ring = start_awake(&mut driver, 0);
    driver.set_bus_master(false);

    driver.sleep();

    assert!(!sleeps(&driver, &ring));
}

#[test]
fn polling_goes_on_when_bus_mastering_is_on_again() {
    let mut driver = driver();
    let mut ring = start_awake(&mut driver, 0);
    driver.set_bus_master(false);
    submit(&driver, &mut ring, 5);

    driver.set_bus_master(true);
    let awake = driver.is_awake();
    driver.poll();
    driver.run();

    assert!(awake, "does not ask to be polled");
    assert_eq!(ring.take_tags(&driver), [5]);
}

#[test]
fn kick_of_a_sleeping_queue_is_kept_while_bus_mastering_is_off() {
    let mut driver = driver();
    let mut ring = driver.start_ring(0, DOMAIN, 4, 1);
    driver.set_bus_master(false);
    ring.push(&driver, &nop(5));
    ring.kick(&mut driver);
    let asleep = sleeps(&driver, &ring);

    driver.set_bus_master(true);
    driver.run();

    assert!(asleep);
    assert!(!sleeps(&driver, &ring));
    assert_eq!(ring.take_tags(&driver), [5]);
}

#[test]
fn stopped_queue_is_neither_awake_nor_asleep() {
    for awake in [false, true] {
        let mut driver = driver();
        let ring = start_awake(&mut driver, 0);
        if !awake {
            driver.sleep();
        }

        driver.admin(Register::QUEUE_STOP, 0);

        assert!(!driver.is_awake());
        assert!(!sleeps(&driver, &ring));
        assert_eq!(state(&driver, &ring), QUEUE_STOPPED);
    }
}

#[test]
fn queue_started_again_sleeps_and_counts_from_0() {
    let mut driver = driver();
    let first = start_awake(&mut driver, 0);
    driver.poll();
    driver.admin(Register::QUEUE_STOP, 0);

    let ring = driver.start_ring(0, DOMAIN, 4, 1);

    assert_eq!(heartbeat(&driver, &first), 0);
    assert!(sleeps(&driver, &ring));
    assert!(!driver.is_awake());
}

#[test]
fn reset_ends_polling_and_sleep() {
    for awake in [false, true] {
        let mut driver = driver();
        let ring = start_awake(&mut driver, 0);
        driver.poll();
        if !awake {
            driver.sleep();
        }

        driver.reset();
        driver.poll();

        assert!(!driver.is_awake());
        assert!(!sleeps(&driver, &ring));
        assert_eq!(state(&driver, &ring), QUEUE_STOPPED);
        assert_eq!(heartbeat(&driver, &ring), 0);
    }
}

#[test]
fn generation_of_every_queue_steps_with_each_reset() {
    let mut driver = driver();
    let word = |driver: &TestDriver, queue| driver.host.word(Word::Generation.offset(queue));
    let before = [0, 1, 2].map(|queue| word(&driver, queue));

    driver.reset();
    driver.reset();

    assert_eq!(before, [1; 3]);
    assert_eq!([0, 1, 2].map(|queue| word(&driver, queue)), [3; 3]);
    assert_eq!(driver.get(Register::RESET_GENERATION), 3);
    assert_eq!(word(&driver, QUEUES.into()), 0);
}

#[test]
fn queue_that_an_error_stopped_shows_the_code_and_is_not_polled() {
    let mut driver = driver();
    let mut ring = start_awake(&mut driver, 0);
    driver.host.unmap(ring.setup.submission_ring);
    ring.submitted = 1;
    ring.ring(&driver);

    driver.poll();
    driver.run();

    let code = ErrorCode::SUBMISSION_FAULT.0;
    assert_eq!(state(&driver, &ring), code.into());
    assert!(!sleeps(&driver, &ring));
    assert!(!driver.is_awake());
}

/// Actions of a process that keeps to the rules, and events around it.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Submits to a queue, if its ring has room, and kicks if it must.
    Submit(usize),
    /// Takes all completions of a queue, and kicks if it must.
    Take(usize),
    Poll,
    Step,
    Sleep,
    BusMaster(bool),
}

fn act() -> impl Strategy<Value = Act> {
    let queue = || 0..usize::from(QUEUES);
    prop_oneof![
        6 => queue().prop_map(Act::Submit),
        2 => queue().prop_map(Act::Take),
        3 => Just(Act::Poll),
        3 => Just(Act::Step),
        3 => Just(Act::Sleep),
        1 => any::<bool>().prop_map(Act::BusMaster),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn descriptors_submitted_by_the_rules_are_carried_out(acts in vec(act(), 1..150)) {
        let mut driver = driver();
        let mut rings = [0, 1, 2].map(|queue| driver.start_ring(queue, DOMAIN, 4, 1));
        let ring_and_kick = |driver: &mut TestDriver, ring: &Ring| {
            ring.ring(driver);
            if sleeps(driver, ring) {
                ring.kick(driver);
            }
        };

        for act in acts {
            match act {
                Act::Submit(queue) => {
                    let ring = &mut rings[queue];
                    if ring.submitted.wrapping_sub(ring.completion_tail(&driver)) < 4 {
                        ring.push(&driver, &nop(0));
                        ring_and_kick(&mut driver, ring);
                    }
                }
                Act::Take(queue) => {
                    rings[queue].take_all(&driver);
                    ring_and_kick(&mut driver, &rings[queue]);
                }
                Act::Poll => { driver.poll(); }
                Act::Step => { driver.step(); }
                Act::Sleep => { driver.sleep(); }
                Act::BusMaster(on) => driver.set_bus_master(on),
            }
        }
        driver.set_bus_master(true);
        driver.rest();
        for ring in &mut rings {
            ring.take_all(&driver);
            ring_and_kick(&mut driver, ring);
        }
        driver.rest();

        for ring in &rings {
            prop_assert_eq!(ring.completion_tail(&driver), ring.submitted);
        }
        prop_assert_eq!(driver.get(Register::ERROR_COUNT), 0);
    }
}
