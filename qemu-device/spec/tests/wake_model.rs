// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `wake.rs` itself, in every order of its steps and with every value that the memory model allows
//! a load to see. A sleeper is woken if there is something for it. The same runs with a part taken
//! away, which shows that the check would notice.

use loom::sync::atomic::{fence, AtomicU32, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use ringbar_spec::wake::{self, Waiter, Word, Words};

/// Descriptors and completions of a run.
const ENTRIES: u32 = 2;
/// Thread switches that are forced upon a run. Each one more makes it take five times as long.
const PREEMPTIONS: usize = 3;
/// Message of a thread that was not woken.
const LOST: &str = "lost wake-up";

/// Shared state of the two sides of a queue.
struct Queue {
    words: [AtomicU32; Word::ALL.len()],
    submissions: [AtomicU32; ENTRIES as usize],
    completions: [AtomicU32; ENTRIES as usize],
    /// Kicks stay in the socket until the device takes them.
    kick: Bell,
    /// The eventfd of the process stays signalled until it is read.
    event: Bell,
    /// The driver's wait queue.
    wait_queue: Bell,
}

impl Queue {
    /// Makes a queue whose device is awake, and whose waiters last wanted a completion of long ago.
    fn new() -> Arc<Self> {
        let queue = Self {
            words: Default::default(),
            submissions: Default::default(),
            completions: Default::default(),
            kick: Bell::new(false),
            event: Bell::new(false),
            wait_queue: Bell::new(true),
        };
        for waiter in [Waiter::Process, Waiter::Driver] {
            queue.word(waiter.word()).store(u32::MAX, Ordering::Relaxed);
        }
        Arc::new(queue)
    }

    fn word(&self, word: Word) -> &AtomicU32 {
        let index = Word::ALL.iter().position(|it| *it == word);
        &self.words[index.expect("one of all")]
    }

    fn bell(&self, waiter: Waiter) -> &Bell {
        match waiter {
            Waiter::Process => &self.event,
            Waiter::Driver => &self.wait_queue,
        }
    }
}

/// Access of one side to the words, as the host's atomics have it.
struct Side<'a> {
    queue: &'a Queue,
    fences: bool,
}

impl Words for Side<'_> {
    fn load(&self, word: Word) -> u32 {
        self.queue.word(word).load(Ordering::Acquire)
    }

    fn store(&self, word: Word, value: u32) {
        self.queue.word(word).store(value, Ordering::Release);
    }

    fn fence(&self) {
        if self.fences {
            fence(Ordering::SeqCst);
        }
    }
}

/// The means by which a sleeper is woken.
struct Bell {
    state: Mutex<BellState>,
    changed: Condvar,
    /// Whether a ring is lost if no sleeper is registered. If not, it stays until it is taken.
    forgets: bool,
}

#[derive(Default)]
struct BellState {
    registered: bool,
    rung: bool,
    /// Whether all threads that could ring have ended.
    closed: bool,
}

impl Bell {
    fn new(forgets: bool) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            forgets,
        }
    }

    fn register(&self) {
        if self.forgets {
            self.state.lock().unwrap().registered = true;
        }
    }

    fn ring(&self) {
        let mut state = self.state.lock().unwrap();
        state.rung = state.registered || !self.forgets;
        self.changed.notify_one();
    }

    fn close(&self) {
        self.state.lock().unwrap().closed = true;
        self.changed.notify_one();
    }

    /// Sleeps until it rings. Returns whether it did; if not, it never will.
    fn wait(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        while !state.rung && !state.closed {
            state = self.changed.wait(state).unwrap();
        }
        state.registered = false;
        std::mem::take(&mut state.rung)
    }
}

/// Part that is taken away, if any.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Without {
    Nothing,
    FenceOfSubmit,
    FenceOfSleep,
    SecondLookOfSleep,
    FenceOfPost,
    FenceOfArm,
    SecondLookOfArm,
    /// The driver registers its sleeper when it has armed and looked.
    RegisteringFirst,
}

impl Without {
    fn side(self, fence: Self, queue: &Queue) -> Side<'_> {
        Side {
            queue,
            fences: self != fence,
        }
    }
}

/// Runs the device's side of the submission ring until no thread kicks any more. Calls `carry_out`
/// with the index of each descriptor.
fn serve(queue: &Queue, without: Without, mut carry_out: impl FnMut(u32)) {
    let side = without.side(Without::FenceOfSleep, queue);
    let mut head = 0;
    loop {
        let tail = side.load(Word::SubmissionTail);
        while head != tail {
            let submitted = queue.submissions[head as usize].load(Ordering::Relaxed);
            assert_eq!(submitted, 1, "a descriptor is seen when the tail is");
            carry_out(head);
            head += 1;
        }
        let second_look = without != Without::SecondLookOfSleep;
        let has_work = |side: &Side<'_>| second_look && side.load(Word::SubmissionTail) != head;
        if wake::sleep(&side, has_work) {
            if !queue.kick.wait() {
                assert_eq!(side.load(Word::SubmissionTail), head, "{LOST}");
                return;
            }
            wake::wake(&side);
        }
    }
}

/// Submits descriptor `index`.
fn submit(queue: &Queue, without: Without, index: u32) {
    let side = without.side(Without::FenceOfSubmit, queue);
    queue.submissions[index as usize].store(1, Ordering::Relaxed);
    if wake::submit(&side, index + 1) {
        queue.kick.ring();
    }
}

/// Completes descriptor `index`, and interrupts the waiters that want it.
fn complete(queue: &Queue, without: Without, index: u32) {
    let side = without.side(Without::FenceOfPost, queue);
    queue.completions[index as usize].store(1, Ordering::Relaxed);
    if wake::post(&side, index, index + 1) {
        queue.event.ring();
        queue.wait_queue.ring();
    }
}

/// Waits for completion `index` on behalf of `waiter`.
fn wait_for(queue: &Queue, without: Without, waiter: Waiter, index: u32) {
    let side = without.side(Without::FenceOfArm, queue);
    let bell = queue.bell(waiter);
    loop {
        if without != Without::RegisteringFirst {
            bell.register();
        }
        let tail = if without == Without::SecondLookOfArm {
            let first_look = side.load(Word::CompletionTail);
            wake::arm(&side, waiter, index);
            first_look
        } else {
            wake::arm(&side, waiter, index)
        };
        if wake::passes(index, 0, tail) {
            break;
        }
        if without == Without::RegisteringFirst {
            bell.register();
        }
        assert!(bell.wait(), "{LOST}");
    }
    let completed = queue.completions[index as usize].load(Ordering::Relaxed);
    assert_eq!(completed, 1, "a completion is seen when the tail is");
}

fn in_every_order(run: impl Fn(&Arc<Queue>) + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(PREEMPTIONS);
    model.check(move || run(&Queue::new()));
}

/// Runs a process that submits against a device that polls and sleeps.
fn submissions(without: Without) {
    in_every_order(move |queue| {
        let process = Arc::clone(queue);
        let process = thread::spawn(move || {
            (0..ENTRIES).for_each(|index| submit(&process, without, index));
            process.kick.close();
        });
        serve(queue, without, |_| ());
        process.join().unwrap();
    });
}

/// Runs a device that completes against `waiters` that each sleep until they have seen all of it.
fn completions(without: Without, waiters: &'static [Waiter]) {
    in_every_order(move |queue| {
        let sleepers: Vec<_> = waiters
            .iter()
            .map(|waiter| {
                let queue = Arc::clone(queue);
                thread::spawn(move || {
                    (0..ENTRIES).for_each(|index| wait_for(&queue, without, *waiter, index));
                })
            })
            .collect();
        (0..ENTRIES).for_each(|index| complete(queue, without, index));
        for waiter in waiters {
            queue.bell(*waiter).close();
        }
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
    });
}

#[test]
fn device_sleeps_only_without_work_or_with_a_kick_coming() {
    submissions(Without::Nothing);
}

#[test]
#[should_panic = "lost wake-up"]
fn without_the_fence_of_submit_a_kick_is_missing() {
    submissions(Without::FenceOfSubmit);
}

#[test]
#[should_panic = "lost wake-up"]
fn without_the_fence_of_sleep_a_kick_is_missing() {
    submissions(Without::FenceOfSleep);
}

#[test]
#[should_panic = "lost wake-up"]
fn without_the_second_look_of_sleep_a_kick_is_missing() {
    submissions(Without::SecondLookOfSleep);
}

#[test]
fn process_sleeps_only_before_its_completion_or_with_an_interrupt_coming() {
    completions(Without::Nothing, &[Waiter::Process]);
}

#[test]
fn driver_sleeps_only_before_its_completion_or_with_an_interrupt_coming() {
    completions(Without::Nothing, &[Waiter::Driver]);
}

#[test]
fn both_waiters_sleep_only_before_their_completion_or_with_an_interrupt_coming() {
    completions(Without::Nothing, &[Waiter::Process, Waiter::Driver]);
}

#[test]
#[should_panic = "lost wake-up"]
fn without_the_fence_of_post_an_interrupt_is_missing() {
    completions(Without::FenceOfPost, &[Waiter::Process]);
}

#[test]
#[should_panic = "lost wake-up"]
fn without_the_fence_of_arm_an_interrupt_is_missing() {
    completions(Without::FenceOfArm, &[Waiter::Process]);
}

#[test]
#[should_panic = "lost wake-up"]
fn without_the_second_look_of_arm_an_interrupt_is_missing() {
    completions(Without::SecondLookOfArm, &[Waiter::Process]);
}

#[test]
#[should_panic = "lost wake-up"]
fn driver_that_registers_its_sleeper_last_misses_an_interrupt() {
    completions(Without::RegisteringFirst, &[Waiter::Driver]);
}

#[test]
fn all_is_carried_out_and_seen_while_both_sides_sleep() {
    in_every_order(|queue| {
        let process = Arc::clone(queue);
        let process = thread::spawn(move || {
            (0..ENTRIES).for_each(|index| submit(&process, Without::Nothing, index));
            wait_for(&process, Without::Nothing, Waiter::Process, ENTRIES - 1);
            process.kick.close();
        });
        serve(queue, Without::Nothing, |index| {
            complete(queue, Without::Nothing, index)
        });
        process.join().unwrap();
    });
}
