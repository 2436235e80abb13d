// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Rings against the device model, in one process.

use ringbar_driver_side::descriptors::{fill, nop};
use ringbar_driver_side::ring::Ring;
use ringbar_driver_side::{QueueMemory, Registers, RingError, Shared};
use ringbar_model::fake::FakeHost;
use ringbar_model::test_driver::TestDriver;
use ringbar_model::Config;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::pages::inline_completion;
use ringbar_spec::regs::Register;
use ringbar_spec::ring::{Descriptor, Status};
use ringbar_spec::setup::QueueSetup;
use ringbar_spec::wake::{Word, Words};
use std::rc::Rc;

const ENTRIES: u32 = 4;
const QUEUE: u32 = 1;

type Modelled = QueueMemory<Rc<FakeHost>>;

/// Makes a device with a queue that runs, whose rings pass inline copies.
fn set_up() -> (TestDriver, Ring<Modelled>, QueueSetup) {
    set_up_with(true)
}

/// Makes a device with a queue that runs.
fn set_up_with(inline: bool) -> (TestDriver, Ring<Modelled>, QueueSetup) {
    let mut driver = TestDriver::new(Config {
        queues: 2,
        vectors: 3,
        device_memory_size: 1 << 20,
        boot_number: 1,
    });
    let setup = driver.start_ring(QUEUE as u16, 7, ENTRIES, 1).setup;
    let memory = QueueMemory::new(driver.host.clone(), &setup);
    (driver, Ring::new(memory, ENTRIES, inline), setup)
}

/// Submits, and kicks if the device sleeps. Returns whether it did.
fn submit(driver: &mut TestDriver, ring: &mut Ring<Modelled>) -> bool {
    let kick = ring.submit();
    if kick {
        driver.kick(QUEUE).unwrap();
    }
    kick
}

/// Overwrites the ring entries, so that a test fails if one of them is used in place of the inline
/// copy.
fn spoil(ring: &Ring<Modelled>, place: u64, bytes: usize) {
    ring.memory().shared().write(place, &vec![0xff; bytes]);
}

fn tags(ring: &mut Ring<Modelled>) -> Vec<u32> {
    let next = || ring.pop().expect("the queue runs");
    std::iter::from_fn(next).map(|done| done.tag).collect()
}

#[test]
fn completions_come_back_in_order_around_the_ring() {
    let (mut driver, mut ring, _) = set_up();
    for round in 0..10 {
        let expected: Vec<u32> = (0..3).map(|index| round * 3 + index).collect();
        for tag in &expected {
            ring.push(&nop(*tag)).unwrap();
        }
        submit(&mut driver, &mut ring);
        driver.rest();
        assert_eq!(tags(&mut ring), expected);
    }
}

#[test]
fn single_descriptor_goes_beside_the_tail_and_so_does_its_completion() {
    let (mut driver, mut ring, setup) = set_up();
    for tag in 0..10 {
        ring.push(&nop(tag)).unwrap();
        submit(&mut driver, &mut ring);
        spoil(&ring, setup.submission_ring, ENTRIES as usize * 64);
        driver.rest();
        spoil(&ring, setup.completion_ring, ENTRIES as usize * 16);
        assert_eq!(tags(&mut ring), [tag]);
    }
}

#[test]
fn descriptor_with_more_than_its_copy_can_have_is_taken_from_the_ring() {
    let (mut driver, mut ring, _) = set_up();
    let descriptor = Descriptor {
        reserved: [0, 0, 1],
        ..nop(3)
    };
    ring.push(&descriptor).unwrap();
    submit(&mut driver, &mut ring);
    driver.rest();
    let completion = ring.pop().unwrap().expect("a completion");
    assert_eq!(Status(completion.status), Status::RESERVED_FIELD);
}

#[test]
fn descriptor_behind_a_single_one_leaves_that_alone() {
    let (mut driver, mut ring, _) = set_up();
    for round in 0..10 {
        ring.push(&nop(round)).unwrap();
        submit(&mut driver, &mut ring);
        ring.push(&nop(100 + round)).unwrap();
        if round % 2 == 0 {
            driver.rest();
        }
        submit(&mut driver, &mut ring);
        driver.rest();
        assert_eq!(tags(&mut ring), [round, 100 + round]);
    }
}

#[test]
fn device_without_inline_copies_uses_only_the_rings() {
    let (mut driver, mut ring, _) = set_up_with(false);
    ring.push(&nop(1)).unwrap();
    submit(&mut driver, &mut ring);
    driver.rest();
    let shared = ring.memory().shared();
    shared.write_page(inline_completion(1), &[0xff; 16]);
    assert_eq!(ring.memory().load(Word::SubmissionInline), 0);
    assert_eq!(tags(&mut ring), [1]);
}

#[test]
fn full_ring_takes_no_more_until_a_completion_is_taken() {
    let (mut driver, mut ring, _) = set_up();
    for tag in 0..ENTRIES {
        ring.push(&nop(tag)).unwrap();
    }
    assert!(matches!(
        ring.push(&nop(9)),
        Err(RingError::Full { entries: 4 })
    ));
    submit(&mut driver, &mut ring);
    driver.rest();
    assert!(matches!(ring.push(&nop(9)), Err(RingError::Full { .. })));
    assert_eq!(ring.pop().unwrap().map(|done| done.tag), Some(0));
    ring.push(&nop(9)).unwrap();
    submit(&mut driver, &mut ring);
    driver.rest();
    assert_eq!(tags(&mut ring), [1, 2, 3, 9]);
}

#[test]
fn unsubmitted_descriptors_are_not_carried_out() {
    let (mut driver, mut ring, _) = set_up();
    ring.push(&nop(1)).unwrap();
    driver.rest();
    assert_eq!(tags(&mut ring), []);
    assert_eq!(ring.in_flight(), 1);
}

#[test]
fn only_a_sleeping_queue_is_kicked() {
    let (mut driver, mut ring, _) = set_up();
    for (tag, kicks) in [(0, true), (1, false), (2, true)] {
        ring.push(&nop(tag)).unwrap();
        assert_eq!(submit(&mut driver, &mut ring), kicks, "descriptor {tag}");
        driver.poll();
        driver.run();
        assert_eq!(tags(&mut ring), [tag]);
        if tag == 1 {
            assert!(driver.sleep());
        }
    }
}

#[test]
fn completion_head_is_stored_when_the_last_one_is_taken() {
    let (mut driver, mut ring, _) = set_up();
    ring.push(&nop(1)).unwrap();
    ring.push(&nop(2)).unwrap();
    submit(&mut driver, &mut ring);
    driver.rest();
    ring.pop().unwrap();
    assert_eq!(ring.memory().load(Word::CompletionHead), 0);
    ring.pop().unwrap();
    assert_eq!(ring.memory().load(Word::CompletionHead), 2);
}

#[test]
fn arming_returns_whether_an_interrupt_will_come() {
    let (mut driver, mut ring, _) = set_up();
    ring.push(&nop(1)).unwrap();
    ring.push(&nop(2)).unwrap();
    assert!(ring.arm(2).unwrap());
    submit(&mut driver, &mut ring);
    driver.rest();
    assert_eq!(driver.take_interrupts(), [1]);
    assert!(!ring.arm(2).unwrap());
    assert!(ring.arm(3).unwrap());
}

#[test]
fn stopped_queue_returns_its_completions_before_its_error() {
    let (mut driver, mut ring, _) = set_up();
    ring.push(&nop(5)).unwrap();
    submit(&mut driver, &mut ring);
    driver.rest();
    ring.memory().store(Word::SubmissionTail, 100);
    driver.kick(QUEUE).unwrap();
    driver.rest();
    assert_eq!(ring.pop().unwrap().map(|done| done.tag), Some(5));
    let error = ring.pop().unwrap_err();
    let bad_tail = ErrorCode::BAD_TAIL;
    assert!(
        matches!(error, RingError::QueueStopped { code } if code == bad_tail),
        "{error}"
    );
    assert!(ring.arm(1).is_err(), "no interrupt is to come");
}

#[test]
fn reset_of_the_device_is_seen_by_its_generation() {
    let (mut driver, mut ring, _) = set_up();
    ring.push(&nop(5)).unwrap();
    submit(&mut driver, &mut ring);
    driver.reset();
    let error = ring.pop().unwrap_err();
    assert!(
        matches!(error, RingError::Reset { queue: 1, now: 2 }),
        "{error}"
    );
}

#[test]
fn completions_without_a_submission_are_an_error() {
    let (mut driver, mut ring, _) = set_up();
    ring.push(&nop(5)).unwrap();
    submit(&mut driver, &mut ring);
    ring.push(&nop(6)).unwrap();
    ring.memory().store(Word::CompletionTail, 2);
    let error = ring.pop().unwrap_err();
    assert!(
        matches!(
            error,
            RingError::BadCompletionTail {
                announced: 2,
                submitted: 1
            }
        ),
        "{error}"
    );
}

#[test]
fn completion_tail_that_goes_back_is_an_error() {
    let (mut driver, mut ring, _) = set_up();
    (0..2).for_each(|tag| ring.push(&nop(tag)).unwrap());
    submit(&mut driver, &mut ring);
    driver.rest();
    assert_eq!(tags(&mut ring), [0, 1]);
    ring.push(&nop(2)).unwrap();
    submit(&mut driver, &mut ring);
    ring.memory().store(Word::CompletionTail, 1);
    assert!(matches!(
        ring.pop(),
        Err(RingError::BadCompletionTail { .. })
    ));
}

#[test]
fn restarted_ring_is_empty() {
    let (mut driver, mut ring, setup) = set_up();
    ring.push(&nop(5)).unwrap();
    submit(&mut driver, &mut ring);
    let stopped = driver.admin(Register::QUEUE_STOP, QUEUE.into());
    assert_eq!(stopped, ErrorCode::NONE);
    assert!(matches!(
        ring.pop(),
        Err(RingError::QueueStopped {
            code: ErrorCode::NONE
        })
    ));
    ring.memory().store(Word::SubmissionTail, 0);
    assert_eq!(driver.queue_start(&setup), ErrorCode::NONE);
    ring.restart();
    ring.push(&fill(7, 0, (9, 0), 1)).unwrap();
    submit(&mut driver, &mut ring);
    driver.rest();
    let completion = ring.pop().unwrap().expect("a completion");
    assert_eq!(
        (completion.tag, Status(completion.status)),
        (7, Status::BAD_WINDOW)
    );
}
