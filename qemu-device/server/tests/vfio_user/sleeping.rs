// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Polling, sleep and wake-up through the mapped pages, and queues side by side.

use std::sync::atomic::{fence, Ordering};

use ringbar_driver_side::descriptors::nop;
use ringbar_server::options::InterruptKind::Msix;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::ids;
use ringbar_spec::layout::MAX_QUEUES;
use ringbar_spec::pages::{QUEUE_RUNNING, QUEUE_STOPPED};
use ringbar_spec::regs::{Register, KICK, RESET_KEY};
use ringbar_spec::setup::QueueSetup;
use ringbar_spec::wake::Word;
use zerocopy::IntoBytes;

use crate::guest::{Guest, BASE, BUFFER, BUFFER_SIZE};

/// Polling time in microseconds that is longer than any test.
const FOR_EVER: u32 = u32::MAX;

fn heartbeat(guest: &Guest) -> u32 {
    guest
        .word(Word::Heartbeat.offset(0))
        .load(Ordering::Acquire)
}

fn state(guest: &Guest) -> u32 {
    guest
        .word(Word::QueueState.offset(0))
        .load(Ordering::Acquire)
}

#[test]
fn queue_sleeps_until_it_is_kicked() {
    let mut guest = Guest::start_polling(FOR_EVER);
    guest.submit(&nop(1));
    guest.linger();
    let (asleep, tail) = (guest.sleeps(), guest.completion_tail());

    guest.kick();
    let awake = !guest.sleeps();

    assert_eq!(guest.wait().tag, 1);
    assert!(asleep && awake);
    assert_eq!((tail, state(&guest)), (0, QUEUE_RUNNING));
}

#[test]
fn doorbell_is_seen_without_a_kick_while_the_device_polls() {
    let mut guest = Guest::start_polling(FOR_EVER);
    guest.carry_out(&nop(1));

    guest.submit(&nop(2));

    assert_eq!(guest.wait().tag, 2);
}

#[test]
fn queue_sleeps_again_when_there_was_nothing_for_a_while() {
    let mut guest = Guest::start_polling(1000);
    guest.carry_out(&nop(1));

    guest.wait_until("the queue does not sleep", Guest::sleeps);
}

#[test]
fn interrupt_that_is_held_back_comes_although_the_device_sleeps() {
    let mut guest = Guest::start_polling(0);
    // 20 ms.
    guest.set(Register::INTERRUPT_MODERATION, 20_000 << 16);
    guest.arm(0);

    guest.submit(&nop(1));
    guest.kick();
    guest.wait_until("the queue does not sleep", |guest| {
        guest.completion_tail() == 1 && guest.sleeps()
    });

    assert_eq!(guest.wait_interrupt(1), 1);
}

#[test]
fn heartbeat_moves_while_the_device_polls() {
    let mut guest = Guest::start_polling(FOR_EVER);
    guest.carry_out(&nop(1));
    let before = heartbeat(&guest);

    guest.wait_until("no heartbeat", |guest| {
        heartbeat(guest).wrapping_sub(before) > 100
    });
}

#[test]
fn heartbeat_stands_still_while_the_queue_sleeps() {
    let mut guest = Guest::start_polling(0);
    guest.carry_out(&nop(1));
    guest.wait_until("the queue does not sleep", Guest::sleeps);
    let before = heartbeat(&guest);

    guest.linger();

    assert_eq!(heartbeat(&guest), before);
}

#[test]
fn every_descriptor_completes_when_kicks_follow_the_rules() {
    for poll_time in [0, 1, 50] {
        let mut guest = Guest::start_polling(poll_time);

        let tags: Vec<u32> = (0..1000)
            .map(|tag| guest.carry_out_by_the_rules(&nop(tag)).tag)
            .collect();

        assert!(tags.into_iter().eq(0..1000), "poll time {poll_time}");
    }
}

#[test]
fn registers_are_read_while_the_device_polls() {
    let mut guest = Guest::start_polling(FOR_EVER);
    guest.carry_out(&nop(1));

    let read = [(); 100].map(|()| guest.get(Register::IDENT));

    assert_eq!(read, [u64::from(ids::IDENT); 100]);
}

#[test]
fn bus_mastering_off_ends_polling_until_it_is_on() {
    let mut guest = Guest::start_polling(FOR_EVER);
    guest.carry_out(&nop(1));

    guest.set_bus_master(false);
    let before = heartbeat(&guest);
    guest.submit(&nop(2));
    guest.linger();
    let after = (heartbeat(&guest), guest.sleeps(), guest.completion_tail());
    guest.set_bus_master(true);

    assert_eq!(after, (before, false, 1));
    assert_eq!(guest.wait().tag, 2);
}

#[test]
fn generation_and_state_are_seen_without_a_trap() {
    let mut guest = Guest::start_polling(FOR_EVER);
    guest.carry_out(&nop(1));
    let generation = |guest: &Guest| {
        [0, 7].map(|queue| {
            guest
                .word(Word::Generation.offset(queue))
                .load(Ordering::Acquire)
        })
    };
    let before = (generation(&guest), state(&guest));

    guest.set(Register::RESET, RESET_KEY.into());

    let boot = guest.get(Register::BOOT_NUMBER) as u32;
    assert_eq!(before, ([boot; 2], QUEUE_RUNNING));
    let after = (generation(&guest), state(&guest));
    assert_eq!(after, ([boot + 1; 2], QUEUE_STOPPED));
    assert!(!guest.sleeps());
}

#[test]
fn bad_tail_stops_the_queue_and_wakes_its_waiters() {
    let mut guest = Guest::start_polling(FOR_EVER);
    guest.carry_out(&nop(1));
    guest
        .word(Word::SubmissionTail.offset(0))
        .store(1000, Ordering::Release);

    guest.wait_interrupt(1);

    assert_eq!(state(&guest), u32::from(ErrorCode::BAD_TAIL.0));
    assert_eq!(guest.wait_interrupt(0), 1);
}

/// Runs all queues at once, each with rings and a vector of its own.
#[test]
fn sixty_four_queues_complete_each_in_its_ring_and_with_its_vector() {
    const QUEUES: u64 = MAX_QUEUES as u64;
    let mut guest = Guest::connect_with(Msix, |options| options.queues = QUEUES as u16);
    guest.map_memory();
    guest.connect_interrupts();
    guest.set_bus_master(true);
    let submission = |queue: u64| BUFFER + BUFFER_SIZE + queue * 0x1000;
    let completion = |queue: u64| submission(queue) + 0x800;
    for queue in 0..QUEUES {
        guest.start_with(&QueueSetup {
            queue: queue as u32,
            submission_ring: BASE + submission(queue),
            completion_ring: BASE + completion(queue),
            submission_entries: 4,
            completion_entries: 4,
            vector: queue as u32 + 1,
            ..Default::default()
        });
        guest.poke(submission(queue), nop(1000 + queue as u32).as_bytes());
        let word = |word: Word| guest.word(word.offset(queue as usize));
        word(Word::InterruptAt).store(0, Ordering::Release);
        word(Word::SubmissionTail).store(1, Ordering::Release);
    }
    fence(Ordering::SeqCst);

    for queue in 0..MAX_QUEUES {
        let offset = KICK::INFO.offset_of(queue).unwrap() as u64;
        guest.client.region_write(0, offset, &[0; 4]).unwrap();
    }

    for queue in 0..QUEUES {
        let interrupts = guest.wait_interrupt(queue as usize + 1);
        let tail = guest.word(Word::CompletionTail.offset(queue as usize));
        assert_eq!((interrupts, tail.load(Ordering::Acquire)), (1, 1));
        let tag = guest.peek(completion(queue), 4);
        assert_eq!(tag, (1000 + queue as u32).to_le_bytes());
    }
}
