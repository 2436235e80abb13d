// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tests of the rings against memory with arbitrary contents.

use super::*;
use proptest::prelude::*;
use std::cell::RefCell;

const ENTRIES: u32 = 4;

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

impl RingMemory for Scribbled {
    fn put_inline(&self, _index: u32) -> bool {
        true
    }

    fn get_inline(&self) -> Completion {
        Completion::default()
    }

    fn put(&self, _index: u32, _descriptor: &Descriptor) {}

    fn get(&self, _index: u32) -> Completion {
        IN_RING
    }
}

#[test]
fn single_completion_that_a_reset_cleared_is_taken_from_the_ring() {
    let mut ring = Ring::new(Scribbled(RefCell::new(vec![7])), ENTRIES, true);
    ring.push(&Descriptor::default()).unwrap();
    let _kick = ring.submit();
    // Loads in order of the list's end: tail, generation; then the generation after the copy was
    // read.
    ring.memory.0.replace(vec![8, 7, 1]);
    assert_eq!(ring.pop().unwrap(), Some(IN_RING));
    ring.memory.0.replace(vec![8, 1]);
    assert!(matches!(
        ring.pop(),
        Err(RingError::Reset { queue: 7, now: 8 })
    ));
}

#[test]
fn completion_posted_just_before_the_queue_stopped_is_taken() {
    // Loads in order of the list's end: tail, generation, state; then tail and generation again.
    let stopped = ErrorCode::BAD_TAIL.0.into();
    let mut ring = Ring::new(Scribbled(RefCell::new(vec![7])), ENTRIES, true);
    ring.push(&Descriptor::default()).unwrap();
    let _kick = ring.submit();
    ring.memory.0.replace(vec![7, 7, 1, stopped, 7, 0]);
    assert!(ring.pop().unwrap().is_some());
}

proptest! {
    #[test]
    fn arbitrary_memory_does_no_harm(
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
                1 => drop(ring.submit()),
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
