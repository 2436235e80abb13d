// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tests of the rings against the device model, and against memory with arbitrary contents.

use super::*;
use proptest::prelude::*;
use ringbar_model::test_driver::{self, nop, TestDriver};
use ringbar_model::Host as _;
use ringbar_model::{Config, Place};
use ringbar_spec::regs::{self, INLINE_COMPLETION_0, INLINE_DESCRIPTOR_0};
use ringbar_spec::ring::{Status, INLINE_LENGTH};
use ringbar_spec::setup::QueueSetup;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use zerocopy::{FromBytes, IntoBytes};

const ENTRIES: u32 = 4;

/// A queue in the memory of a device model.
struct Modelled {
    driver: Rc<RefCell<TestDriver>>,
    queue: QueueSetup,
    kicks: Cell<u32>,
}

impl Modelled {
    fn place(&self, word: Word) -> usize {
        let register = word.register();
        register
            .offset_of(self.queue.queue as usize)
            .expect("a queue")
    }
}

impl Words for Modelled {
    fn load(&self, word: Word) -> u32 {
        self.driver.borrow().host.word(self.place(word))
    }

    fn store(&self, word: Word, value: u32) {
        let driver = self.driver.borrow();
        driver.host.set_word(self.place(word), value);
    }

    fn fence(&self) {}
}

impl Memory for Modelled {
    fn put_inline(&self, slot: u32) -> bool {
        let at = INLINE_DESCRIPTOR_0::INFO.offset_of(self.queue.queue as usize);
        let entry = self.queue.submission_ring + u64::from(slot) * 64;
        let driver = self.driver.borrow();
        let bytes = driver.host.peek(Place::Guest(entry), 64);
        let (bytes, others) = bytes.split_at(INLINE_LENGTH);
        driver.host.set_shared(at.expect("a queue"), bytes);
        others.iter().all(|byte| *byte == 0)
    }

    fn get_inline(&self) -> Completion {
        let at = INLINE_COMPLETION_0::INFO.offset_of(self.queue.queue as usize);
        let mut completion = Completion::default();
        let driver = self.driver.borrow();
        driver
            .host
            .read_shared(at.expect("a queue"), completion.as_mut_bytes());
        completion
    }

    fn put(&self, slot: u32, descriptor: &Descriptor) {
        let at = self.queue.submission_ring + u64::from(slot) * 64;
        let driver = self.driver.borrow();
        driver.host.poke(Place::Guest(at), descriptor.as_bytes());
    }

    fn get(&self, slot: u32) -> Completion {
        let at = self.queue.completion_ring + u64::from(slot) * 16;
        let bytes = self.driver.borrow().host.peek(Place::Guest(at), 16);
        Completion::read_from_bytes(&bytes).expect("16 bytes")
    }

    fn kick(&self) {
        self.kicks.set(self.kicks.get() + 1);
        let kick = regs::KICK::INFO.offset_of(self.queue.queue as usize);
        let kick = kick.expect("a queue") as u64;
        self.driver.borrow_mut().write(kick, 4, 1);
    }
}

fn set_up() -> (Rc<RefCell<TestDriver>>, Ring<Modelled>) {
    let mut driver = TestDriver::new(Config {
        queues: 2,
        vectors: 3,
        device_memory_size: 1 << 20,
    });
    let queue = driver.start_ring(1, 7, ENTRIES, 1).setup;
    let driver = Rc::new(RefCell::new(driver));
    let memory = Modelled {
        driver: driver.clone(),
        queue,
        kicks: Cell::new(0),
    };
    (driver, Ring::new(memory, ENTRIES, true))
}

/// Overwrites the ring entries, so that a test fails if one of them is used in place of the inline
/// copy.
fn spoil(ring: &Ring<Modelled>, place: u64, bytes: usize) {
    let driver = ring.memory.driver.borrow();
    driver.host.poke(Place::Guest(place), &vec![0xff; bytes]);
}

fn tags(ring: &mut Ring<Modelled>) -> Vec<u32> {
    let next = || ring.pop().expect("the queue runs");
    std::iter::from_fn(next).map(|done| done.tag).collect()
}

#[test]
fn completions_come_back_in_order_around_the_ring() {
    let (driver, mut ring) = set_up();
    for round in 0..10 {
        let expected: Vec<u32> = (0..3).map(|index| round * 3 + index).collect();
        for tag in &expected {
            ring.push(&nop(*tag)).unwrap();
        }
        ring.submit();
        driver.borrow_mut().rest();
        assert_eq!(tags(&mut ring), expected);
    }
}

#[test]
fn single_descriptor_goes_beside_the_tail_and_so_does_its_completion() {
    let (driver, mut ring) = set_up();
    let setup = ring.memory.queue;
    for tag in 0..10 {
        ring.push(&nop(tag)).unwrap();
        ring.submit();
        spoil(&ring, setup.submission_ring, ENTRIES as usize * 64);
        driver.borrow_mut().rest();
        spoil(&ring, setup.completion_ring, ENTRIES as usize * 16);
        assert_eq!(tags(&mut ring), [tag]);
    }
}

#[test]
fn descriptor_with_more_than_its_copy_can_have_is_taken_from_the_ring() {
    let (driver, mut ring) = set_up();
    let descriptor = Descriptor {
        reserved: [0, 0, 1],
        ..nop(3)
    };
    ring.push(&descriptor).unwrap();
    ring.submit();
    driver.borrow_mut().rest();
    let completion = ring.pop().unwrap().expect("a completion");
    assert_eq!(Status(completion.status), Status::RESERVED_FIELD);
}

#[test]
fn descriptor_behind_a_single_one_leaves_that_alone() {
    let (driver, mut ring) = set_up();
    for round in 0..10 {
        ring.push(&nop(round)).unwrap();
        ring.submit();
        ring.push(&nop(100 + round)).unwrap();
        if round % 2 == 0 {
            driver.borrow_mut().rest();
        }
        ring.submit();
        driver.borrow_mut().rest();
        assert_eq!(tags(&mut ring), [round, 100 + round]);
    }
}

#[test]
fn device_without_inline_copies_gets_and_gives_all_in_the_rings() {
    let (driver, mut ring) = set_up();
    ring.inline = false;
    ring.push(&nop(1)).unwrap();
    ring.submit();
    driver.borrow_mut().rest();
    let at = INLINE_COMPLETION_0::INFO.offset_of(1).expect("a queue");
    driver.borrow().host.set_shared(at, &[0xff; 16]);
    assert_eq!(ring.memory.load(Word::SubmissionInline), 0);
    assert_eq!(tags(&mut ring), [1]);
}

#[test]
fn single_completion_that_a_reset_cleared_is_taken_from_the_ring() {
    let mut ring = Ring::new(Scribbled(RefCell::new(vec![7])), ENTRIES, true);
    ring.push(&nop(1)).unwrap();
    ring.submit();
    // Loads in order of the list's end: tail, generation; then the generation after the copy was
    // read.
    ring.memory.0.replace(vec![8, 7, 1]);
    assert_eq!(ring.pop().unwrap(), Some(IN_RING));
    ring.memory.0.replace(vec![8, 1]);
    assert!(matches!(ring.pop(), Err(Error::Reset { queue: 7, now: 8 })));
}

#[test]
fn full_ring_takes_no_more_until_a_completion_is_taken() {
    let (driver, mut ring) = set_up();
    for tag in 0..ENTRIES {
        ring.push(&nop(tag)).unwrap();
    }
    assert!(matches!(
        ring.push(&nop(9)),
        Err(Error::Full { entries: 4 })
    ));
    ring.submit();
    driver.borrow_mut().rest();
    assert!(matches!(ring.push(&nop(9)), Err(Error::Full { .. })));
    assert_eq!(ring.pop().unwrap().map(|done| done.tag), Some(0));
    ring.push(&nop(9)).unwrap();
    ring.submit();
    driver.borrow_mut().rest();
    assert_eq!(tags(&mut ring), [1, 2, 3, 9]);
}

#[test]
fn what_was_not_submitted_is_not_carried_out() {
    let (driver, mut ring) = set_up();
    ring.push(&nop(1)).unwrap();
    driver.borrow_mut().rest();
    assert_eq!(tags(&mut ring), []);
    assert_eq!(ring.in_flight(), 1);
}

#[test]
fn only_a_queue_that_sleeps_is_kicked() {
    let (driver, mut ring) = set_up();
    for (tag, kicks) in [(0, 1), (1, 1), (2, 2)] {
        ring.push(&nop(tag)).unwrap();
        ring.submit();
        assert_eq!(ring.memory.kicks.get(), kicks, "descriptor {tag}");
        driver.borrow_mut().poll();
        driver.borrow_mut().run();
        assert_eq!(tags(&mut ring), [tag]);
        if tag == 1 {
            assert!(driver.borrow_mut().sleep());
        }
    }
}

#[test]
fn completion_head_is_told_when_the_last_one_is_taken() {
    let (driver, mut ring) = set_up();
    ring.push(&nop(1)).unwrap();
    ring.push(&nop(2)).unwrap();
    ring.submit();
    driver.borrow_mut().rest();
    ring.pop().unwrap();
    assert_eq!(ring.memory.load(Word::CompletionHead), 0);
    ring.pop().unwrap();
    assert_eq!(ring.memory.load(Word::CompletionHead), 2);
}

#[test]
fn arming_says_whether_an_interrupt_is_to_come() {
    let (driver, mut ring) = set_up();
    ring.push(&nop(1)).unwrap();
    ring.push(&nop(2)).unwrap();
    assert!(ring.arm(2).unwrap());
    ring.submit();
    driver.borrow_mut().rest();
    assert_eq!(driver.borrow_mut().take_interrupts(), [1]);
    assert!(!ring.arm(2).unwrap());
    assert!(ring.arm(3).unwrap());
}

#[test]
fn queue_that_stopped_gives_what_it_completed_and_then_its_error() {
    let (driver, mut ring) = set_up();
    ring.push(&nop(5)).unwrap();
    ring.submit();
    driver.borrow_mut().rest();
    let tail = ring.memory.place(Word::SubmissionTail);
    driver.borrow().host.set_word(tail, 100);
    ring.memory.kick();
    driver.borrow_mut().rest();
    assert_eq!(ring.pop().unwrap().map(|done| done.tag), Some(5));
    let error = ring.pop().unwrap_err();
    let bad_tail = ErrorCode::BAD_TAIL;
    assert!(
        matches!(error, Error::QueueStopped { code } if code == bad_tail),
        "{error}"
    );
    assert!(ring.arm(1).is_err(), "no interrupt is to come");
}

#[test]
fn reset_of_the_device_is_seen_by_its_generation() {
    let (driver, mut ring) = set_up();
    ring.push(&nop(5)).unwrap();
    ring.submit();
    driver.borrow_mut().reset();
    let error = ring.pop().unwrap_err();
    assert!(
        matches!(error, Error::Reset { queue: 0, now: 1 }),
        "{error}"
    );
}

#[test]
fn completions_of_what_was_not_submitted_are_an_error() {
    let (_driver, mut ring) = set_up();
    ring.push(&nop(5)).unwrap();
    ring.submit();
    ring.push(&nop(6)).unwrap();
    ring.memory.store(Word::CompletionTail, 2);
    let error = ring.pop().unwrap_err();
    assert!(
        matches!(
            error,
            Error::BadCompletionTail {
                announced: 2,
                submitted: 1
            }
        ),
        "{error}"
    );
}

#[test]
fn completion_tail_that_goes_back_is_an_error() {
    let (driver, mut ring) = set_up();
    (0..2).for_each(|tag| ring.push(&nop(tag)).unwrap());
    ring.submit();
    driver.borrow_mut().rest();
    assert_eq!(tags(&mut ring), [0, 1]);
    ring.push(&nop(2)).unwrap();
    ring.submit();
    ring.memory.store(Word::CompletionTail, 1);
    assert!(matches!(ring.pop(), Err(Error::BadCompletionTail { .. })));
}

#[test]
fn started_anew_the_ring_is_empty() {
    let (driver, mut ring) = set_up();
    ring.push(&nop(5)).unwrap();
    ring.submit();
    let setup = ring.memory.queue;
    {
        let mut driver = driver.borrow_mut();
        let stopped = driver.admin(regs::Register::QUEUE_STOP, setup.queue.into());
        assert_eq!(stopped, ErrorCode::NONE);
    }
    assert!(matches!(
        ring.pop(),
        Err(Error::QueueStopped {
            code: ErrorCode::NONE
        })
    ));
    ring.memory.store(Word::SubmissionTail, 0);
    assert_eq!(driver.borrow_mut().queue_start(&setup), ErrorCode::NONE);
    ring.restart();
    ring.push(&test_driver::fill(7, 0, (9, 0), 1)).unwrap();
    ring.submit();
    driver.borrow_mut().rest();
    let completion = ring.pop().unwrap().expect("a completion");
    assert_eq!(
        (completion.tag, Status(completion.status)),
        (7, Status::BAD_WINDOW)
    );
}

/// A completion in the ring. The inline one is all 0.
const IN_RING: Completion = Completion {
    tag: 5,
    status: 0,
    reserved: 0,
    result: 0,
};

/// Memory in which each load returns the next value of a list, as if another writer had just stored
/// it.
struct Scribbled(RefCell<Vec<u32>>);

impl Words for Scribbled {
    fn load(&self, _word: Word) -> u32 {
        self.0.borrow_mut().pop().unwrap_or(QUEUE_RUNNING)
    }

    fn store(&self, _word: Word, _value: u32) {}

    fn fence(&self) {}
}

impl Memory for Scribbled {
    fn put_inline(&self, slot: u32) -> bool {
        assert!(slot < ENTRIES);
        true
    }

    fn get_inline(&self) -> Completion {
        Completion::default()
    }

    fn put(&self, slot: u32, _descriptor: &Descriptor) {
        assert!(slot < ENTRIES);
    }

    fn get(&self, slot: u32) -> Completion {
        assert!(slot < ENTRIES);
        IN_RING
    }

    fn kick(&self) {}
}

#[test]
fn completion_posted_just_before_the_queue_stopped_is_taken() {
    // Loads in order of the list's end: tail, generation, state; then tail and generation again.
    let stopped = ErrorCode::BAD_TAIL.0.into();
    let mut ring = Ring::new(Scribbled(RefCell::new(vec![7])), ENTRIES, true);
    ring.push(&nop(1)).unwrap();
    ring.submit();
    ring.memory.0.replace(vec![7, 7, 1, stopped, 7, 0]);
    assert!(ring.pop().unwrap().is_some());
}

proptest! {
    #[test]
    fn memory_that_holds_anything_does_no_harm(
        loads in prop::collection::vec(prop_oneof![0..6u32, Just(u32::MAX), any::<u32>()], 0..60),
        start in prop_oneof![Just(0u32), Just(u32::MAX - 2), any::<u32>()],
        actions in prop::collection::vec(0..5u8, 0..60),
        inline in any::<bool>(),
    ) {
        // All loads of the constructor return the same generation. Otherwise most runs would end at
        // the check of the generation.
        let mut ring = Ring::new(Scribbled(RefCell::new(Vec::new())), ENTRIES, inline);
        (ring.head, ring.posted, ring.submitted, ring.tail) = (start, start, start, start);
        ring.memory.0.replace(loads);
        for action in actions {
            match action {
                0 => drop(ring.push(&Descriptor::default())),
                1 => ring.submit(),
                2 => drop(ring.arm(1)),
                3 => drop(ring.has(u32::MAX)),
                _ => drop(ring.pop()),
            }
            let order = [ring.head, ring.posted, ring.submitted, ring.tail];
            let order = order.map(|index| distance(ring.head, index));
            prop_assert!(order.is_sorted() && order[3] <= ENTRIES, "{order:?}");
        }
    }
}
