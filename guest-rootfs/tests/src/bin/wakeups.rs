// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A sleeping device wakes, and neither side loses a wake-up, however submit and sleep meet.

use ringbar_client::{Device, Queue};
use ringbar_spec::pattern;
use ringbar_spec::wake::Word;
use ringbar_tests::{
    case, nop, open, parameter, ready_for, run, seed, until, PATIENCE, READABLE, SHORT,
};
use ringbar_uapi::ioctl::Wait;
use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags, Timespec};
use std::hint::spin_loop;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Descriptors of a case, one after the other, in a full run and in a short one. A driver with a
/// lost wake-up left a waiter asleep once in 3,000 rounds.
const ROUNDS: [u64; 2] = [20_000, 2_000];
/// The same for ways that differ from another one only in the last step.
const FEWER: [u64; 2] = [5_000, 500];
/// Longest pause before a descriptor: twice the default time for which the device polls the
/// doorbell. So the device often falls asleep at the moment of the submit.
const LONGEST_PAUSE: u64 = 100_000;

fn main() -> ExitCode {
    run()
}

fn pause(nanoseconds: u64) {
    let end = Instant::now() + Duration::from_nanos(nanoseconds);
    while Instant::now() < end {
        spin_loop();
    }
}

/// Returns the shared words of a queue, for messages.
fn state(queue: &Queue) -> String {
    let words = [
        Word::SubmissionTail,
        Word::CompletionHead,
        Word::CompletionTail,
        Word::Sleeping,
        Word::QueueState,
        Word::Heartbeat,
    ];
    format!("{:?}", words.map(|word| (word, queue.word(word))))
}

fn sleeps(queue: &Queue) -> bool {
    queue.word(Word::Sleeping) == 1
}

#[case]
fn idle_queue_sleeps_and_its_heartbeat_stands_still() {
    let mut queue = open().create_queue(4).unwrap();
    assert!(sleeps(&queue), "a queue starts asleep");
    queue.push(nop(1)).unwrap();
    queue.run(PATIENCE).unwrap();
    until("the queue sleeps", || sleeps(&queue));
    let heartbeat = queue.word(Word::Heartbeat);
    thread::sleep(SHORT);
    assert!(sleeps(&queue), "the queue woke without a kick");
    assert_eq!(queue.word(Word::Heartbeat), heartbeat);
    queue.push(nop(2)).unwrap();
    queue.run(PATIENCE).unwrap();
}

#[case]
fn heartbeat_steps_while_there_is_work() {
    let mut queue = open().create_queue(4).unwrap();
    let before = queue.word(Word::Heartbeat);
    until("a heartbeat", || {
        queue.push(nop(1)).unwrap();
        queue.run(PATIENCE).unwrap();
        queue.word(Word::Heartbeat) != before
    });
}

#[case]
fn kick_page_of_a_sleeping_queue_can_be_read() {
    let mut queue = open().create_queue(4).unwrap();
    queue.push(nop(1)).unwrap();
    queue.run(PATIENCE).unwrap();
    until("the queue sleeps", || sleeps(&queue));
    queue.check().unwrap();
    assert!(sleeps(&queue), "a check must not wake the queue");
}

/// Submits descriptors one after the other with random pauses, and has `take` wait for each.
fn ping_pong([full, short]: [u64; 2], mut take: impl FnMut(&Device, &mut Queue)) {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let seed = seed();
    for round in 0..parameter::count(full, short) as u32 {
        pause(pattern::word(seed, round.into()) % LONGEST_PAUSE);
        queue.push(nop(round)).unwrap();
        queue.submit();
        take(&device, &mut queue);
        assert_eq!(queue.in_flight(), 0, "round {round}");
    }
}

#[case]
fn no_wakeup_is_lost_polling_the_ring() {
    ping_pong(ROUNDS, |_, queue| {
        let deadline = Instant::now() + PATIENCE;
        while queue.pop().unwrap().is_none() {
            assert!(Instant::now() < deadline, "{}", state(queue));
            spin_loop();
        }
    });
}

#[case]
fn no_wakeup_is_lost_waiting_in_a_call() {
    let mut posted = 0;
    ping_pong(ROUNDS, move |device, queue| {
        posted += 1;
        let mut wait = Wait {
            queue: queue.number(),
            completion_tail: posted,
            timeout_ms: PATIENCE.as_millis() as u32,
            began: 0,
        };
        let waited = device.wait(&mut wait);
        waited.unwrap_or_else(|error| panic!("{error}: {}", state(queue)));
        queue.pop().unwrap().expect("WAIT says that it is there");
    });
}

#[case]
fn no_wakeup_is_lost_polling_the_file() {
    ping_pong(FEWER, |device, queue| {
        assert_eq!(ready_for(device, PATIENCE), READABLE, "{}", state(queue));
        queue.pop().unwrap().expect("poll says that it is there");
    });
}

#[case]
fn no_wakeup_is_lost_waiting_for_an_eventfd() {
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
    let mut first = true;
    ping_pong(FEWER, move |_, queue| {
        if std::mem::take(&mut first) {
            queue.set_event_fd(Some(event.as_fd())).unwrap();
        }
        let limit = Timespec::try_from(PATIENCE).expect("a short time");
        while queue.pop().unwrap().is_none() {
            if queue.arm(1).unwrap() {
                let mut files = [PollFd::new(&event, PollFlags::IN)];
                poll(&mut files, Some(&limit)).unwrap();
                let signals = rustix::io::read(&event, &mut [0; 8]);
                signals.unwrap_or_else(|error| panic!("{error}: {}", state(queue)));
            }
        }
    });
}

/// Two threads wait in a call for one completion each, and share the word by which the driver arms.
/// The wait for the earlier completion begins while both are posted, and may find its own posted
/// already.
#[case]
fn no_wakeup_is_lost_by_waiters_of_different_completions() {
    /// Time that a thread needs to enter the call, about.
    const CALL: u64 = 30_000;
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    let seed = seed();
    let [full, short] = ROUNDS;
    let rounds = parameter::count(full, short) as u32;
    let number = queue.number();
    let wait = |completion_tail| {
        device.wait(&mut Wait {
            queue: number,
            completion_tail,
            timeout_ms: PATIENCE.as_millis() as u32,
            began: 0,
        })
    };
    // Last round that the earlier waiter may begin, and last rounds that each waiter has ended.
    let [begun, nearer, farther] = [const { AtomicU32::new(0) }; 3];
    let lost = thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=rounds {
                while begun.load(Ordering::Acquire) < round {
                    spin_loop();
                }
                if wait(2 * round - 1).is_err() {
                    break;
                }
                nearer.store(round, Ordering::Release);
            }
        });
        scope.spawn(|| {
            for round in 1..=rounds {
                if wait(2 * round).is_err() {
                    break;
                }
                farther.store(round, Ordering::Release);
            }
        });
        let lost = (1..=rounds).find(|round| {
            // Lets the later waiter fall asleep.
            pause(CALL);
            begun.store(*round, Ordering::Release);
            for half in 0..2 {
                pause(pattern::word(seed, u64::from(2 * round + half)) % CALL);
                queue.push(nop(*round)).unwrap();
                queue.submit();
            }
            let deadline = Instant::now() + PATIENCE;
            let ended = || [&nearer, &farther].map(|it| it.load(Ordering::Acquire));
            while ended() != [*round; 2] && Instant::now() < deadline {
                thread::yield_now();
            }
            while let Ok(Some(_)) = queue.pop() {}
            ended() != [*round; 2]
        });
        begun.store(u32::MAX, Ordering::Release);
        lost
    });
    assert_eq!(lost, None, "{}", state(&queue));
}
