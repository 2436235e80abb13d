// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! All combinations of fields at and beyond their limits.

use crate::ground::Ground;
use crate::victim::Victim;
use ringbar_spec::ring::{Descriptor, Opcode, Status, MAX_LENGTH};
use ringbar_test_vectors::{windows_used, Target};
use ringbar_tests::{case, parameter, PATIENCE};

/// Entries of the ring, and descriptors in flight at once.
const ENTRIES: u32 = 1024;

#[case]
fn each_field_at_and_beyond_its_limit_ends_as_the_data_sheet_says() {
    let seed = parameter::seed();
    let victim = Victim::start(seed);
    let mut ground = Ground::new(ENTRIES, &victim, seed);
    let targets = ground.windows();
    let (mut tried, mut batch) = (0_u64, Vec::new());
    for descriptor in combinations(&targets) {
        batch.push(Descriptor {
            tag: batch.len() as u32,
            ..descriptor
        });
        if batch.len() == ENTRIES as usize {
            tried += carry_out(&mut ground, &batch, &targets);
            batch.clear();
        }
    }
    tried += carry_out(&mut ground, &batch, &targets);

    println!("# {tried} descriptors");
    ground.assert_guards();
    victim.assert_untouched();
}

/// Carries out a batch and compares each status with the expected one. Returns the batch's size.
fn carry_out(ground: &mut Ground, batch: &[Descriptor], targets: &[Target]) -> u64 {
    for descriptor in batch {
        ground.queue.push(*descriptor).expect("there is room");
    }
    ground.queue.submit();
    let count = batch.len() as u32;
    ground
        .queue
        .wait(count, PATIENCE)
        .expect("the queue runs on");
    for descriptor in batch {
        let completion = ground.queue.pop().expect("the queue runs on");
        let completion = completion.expect("as many completions as descriptors");
        assert_eq!(completion.tag, descriptor.tag);
        let (status, expected) = (
            Status(completion.status),
            ringbar_test_vectors::status(descriptor, targets),
        );
        // This test knows no patterns, so VERIFY may find any bytes.
        let compared = status == Status::MISMATCH && descriptor.opcode == Opcode::VERIFY.0;
        let agrees = status == expected || compared && expected == Status::OK;
        assert!(agrees, "{status:?}, not {expected:?}: {descriptor:?}");
    }
    u64::from(count)
}

/// Returns the known opcodes, the first unknown one, and the largest.
fn opcodes() -> impl Iterator<Item = u16> {
    let known = Opcode::ALL.iter().map(|(opcode, _)| opcode.0);
    let first_unknown = known.clone().max().map_or(0, |last| last + 1);
    known.chain([first_unknown, u16::MAX])
}

/// Returns descriptors with each field at its limits, for each pair of windows.
fn combinations(targets: &[Target]) -> impl Iterator<Item = Descriptor> + '_ {
    let numbers = || targets.iter().map(|target| target.window);
    opcodes()
        .flat_map(move |opcode| {
            numbers().flat_map(move |source_window| {
                numbers().flat_map(move |destination_window| {
                    let room = room(targets, source_window).min(room(targets, destination_window));
                    places(room).flat_map(move |(length, offset)| {
                        [(offset, 0), (0, offset), (0, 0)].map(
                            |(source_offset, destination_offset)| Descriptor {
                                opcode,
                                length,
                                source_window,
                                destination_window,
                                source_offset,
                                destination_offset,
                                ..Descriptor::default()
                            },
                        )
                    })
                })
            })
        })
        .chain(reserved(targets))
}

/// Returns a valid descriptor of each opcode, and the same with each reserved field set in turn.
fn reserved(targets: &[Target]) -> impl Iterator<Item = Descriptor> {
    let both = |target: &&Target| target.open.is_some_and(|it| it.readable && it.writable);
    let window = targets.iter().find(both).map_or(0, |target| target.window);
    opcodes().flat_map(move |opcode| {
        let (reads, writes) = windows_used(Opcode(opcode));
        let sound = Descriptor {
            opcode,
            length: if reads || writes { 16 } else { 0 },
            source_window: if reads { window } else { 0 },
            destination_window: if writes { window } else { 0 },
            ..Descriptor::default()
        };
        let with = |change: fn(&mut Descriptor)| {
            let mut changed = sound;
            change(&mut changed);
            changed
        };
        [
            sound,
            with(|it| it.flags = 1),
            with(|it| it.flags = 1 << 15),
            with(|it| it.operand = 1),
            with(|it| it.operand = 1 << 32),
            with(|it| it.operand = u64::MAX),
            with(|it| it.reserved[0] = 1),
            with(|it| it.reserved[1] = 1 << 63),
            with(|it| it.reserved[2] = 1),
            with(|it| it.length ^= 1),
        ]
    })
}

fn room(targets: &[Target], window: u16) -> u64 {
    let target = targets.iter().find(|target| target.window == window);
    target
        .and_then(|target| target.open)
        .map_or(64, |it| it.length)
}

/// Returns lengths and offsets at the limits of a window of `room` bytes.
fn places(room: u64) -> impl Iterator<Item = (u32, u64)> {
    let lengths = [
        0,
        1,
        room as u32,
        room as u32 + 1,
        MAX_LENGTH,
        MAX_LENGTH + 1,
        u32::MAX,
    ];
    lengths.into_iter().flat_map(move |length| {
        let last = room.wrapping_sub(length.into());
        let wraps = u64::from(length).wrapping_neg();
        [
            0,
            last,
            last.wrapping_add(1),
            room,
            1 << 32,
            1 << 63,
            wraps,
            u64::MAX,
        ]
        .map(|offset| (length, offset))
    })
}
