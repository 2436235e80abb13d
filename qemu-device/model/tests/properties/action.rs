// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Actions of a guest, right or wrong.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;
use ringbar_driver_side::descriptors::{copy, crc32c, fill, nop, pattern, verify};
use ringbar_spec::layout::{ADMIN_PAGE, KICK_PAGES, PUBLIC_PAGE};
use ringbar_spec::regs::RESET_KEY;
use ringbar_spec::ring::Descriptor;
use ringbar_spec::setup::{QueueSetup, Segment, WindowSetup};
use zerocopy::FromBytes;

/// Guest memory for segments and rings, one mapped range each.
pub(crate) const ARENAS: [u64; 4] = [0x10_0000, 0x30_0000, 0x50_0000, 0x70_0000];
/// Bytes of an arena.
pub(crate) const ARENA: u64 = 160_000;
/// Bytes of device memory.
pub(crate) const MEMORY: u64 = 1 << 18;

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Read(u64, usize),
    Write(u64, usize, u64),
    StartQueue(QueueSetup),
    StopQueue(u64),
    OpenWindow(WindowSetup, Vec<Segment>),
    CloseWindow(u64),
    /// Writes a descriptor to the place that the driver side's tail points at, rings and kicks.
    Submit(u16, Descriptor),
    /// Writes any doorbell, and perhaps kicks. An awake queue is polled anyway.
    Doorbell(u16, u32, u32, bool),
    /// Takes all completions in the ring.
    Take(u16),
    BusMaster(bool),
    Step,
    Run,
    /// Looks at the doorbells once.
    Poll,
    /// Ends the polling time.
    Sleep,
    Reset,
    /// Unmaps an arena, or maps it again.
    Map(usize, bool),
    /// Lets memory fail after some accesses.
    FailAfter(u64),
}

pub(crate) fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => (offset(), select(vec![1, 2, 4, 8])).prop_map(|(at, width)| Action::Read(at, width)),
        2 => (offset(), select(vec![1, 2, 4, 8]), value())
            .prop_map(|(at, width, value)| Action::Write(at, width, value)),
        4 => queue_setup().prop_map(Action::StartQueue),
        1 => (0u64..5).prop_map(Action::StopQueue),
        6 => window_setup().prop_map(|(setup, list)| Action::OpenWindow(setup, list)),
        2 => (0u64..6).prop_map(Action::CloseWindow),
        16 => (0u16..3, descriptor()).prop_map(|(queue, it)| Action::Submit(queue, it)),
        1 => (0u16..3, index(), index(), any::<bool>())
            .prop_map(|(queue, tail, head, kick)| Action::Doorbell(queue, tail, head, kick)),
        4 => (0u16..3).prop_map(Action::Take),
        2 => any::<bool>().prop_map(Action::BusMaster),
        8 => Just(Action::Step),
        4 => Just(Action::Run),
        6 => Just(Action::Poll),
        2 => Just(Action::Sleep),
        1 => Just(Action::Reset),
        1 => (0..ARENAS.len(), any::<bool>()).prop_map(|(arena, on)| Action::Map(arena, on)),
        1 => (0u64..40).prop_map(Action::FailAfter),
    ]
}

fn offset() -> impl Strategy<Value = u64> {
    let page = select(vec![PUBLIC_PAGE, ADMIN_PAGE, KICK_PAGES]);
    prop_oneof![
        8 => (page, 0u64..0x220).prop_map(|(page, at)| page as u64 + at),
        1 => 0u64..0x110_0000,
        1 => any::<u64>(),
    ]
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..8, any::<u64>(), Just(u64::from(RESET_KEY))]
}

fn index() -> impl Strategy<Value = u32> {
    prop_oneof![0u32..10, any::<u32>()]
}

fn address() -> impl Strategy<Value = u64> {
    prop_oneof![
        12 => (select(ARENAS.to_vec()), 0..ARENA).prop_map(|(arena, at)| arena + at),
        1 => any::<u64>(),
    ]
}

fn queue_setup() -> impl Strategy<Value = QueueSetup> {
    let ring = || address().prop_map(|address| address & !63);
    let entries = || prop_oneof![8 => select(vec![2u32, 4, 8]), 1 => any::<u32>()];
    (
        0u32..5,
        0u32..2,
        (ring(), ring()),
        (entries(), entries()),
        0u32..4,
        weighted(0.02, any::<[u32; 7]>()),
    )
        .prop_map(
            |(queue, domain, rings, entries, vector, reserved)| QueueSetup {
                queue,
                domain,
                submission_ring: rings.0,
                completion_ring: rings.1,
                submission_entries: entries.0,
                completion_entries: entries.1,
                vector,
                reserved: reserved.unwrap_or_default(),
            },
        )
}

fn window_setup() -> impl Strategy<Value = (WindowSetup, Vec<Segment>)> {
    let segment = (
        address(),
        prop_oneof![8 => 1u64..90_000, 4 => 1u64..20, 1 => any::<u64>()],
    )
        .prop_map(|(address, length)| Segment { address, length });
    let head = (0u32..6, 0u32..2, 1u32..4);
    let guest = (head.clone(), vec(segment, 1..5)).prop_map(|((window, domain, rights), list)| {
        let setup = WindowSetup {
            window,
            domain,
            kind: 1,
            rights,
            length: list.iter().fold(0, |sum, it| sum.saturating_add(it.length)),
            segments: list.len() as u32,
            ..WindowSetup::default()
        };
        (setup, list)
    });
    let device =
        (head, 0..MEMORY, 0..MEMORY).prop_map(|((window, domain, rights), offset, length)| {
            let setup = WindowSetup {
                window,
                domain,
                kind: 2,
                rights,
                length,
                offset,
                ..WindowSetup::default()
            };
            (setup, Vec::new())
        });
    let any = any::<[u8; 64]>()
        .prop_map(|bytes| (WindowSetup::read_from_bytes(&bytes).unwrap(), Vec::new()));
    prop_oneof![8 => guest, 4 => device, 1 => any]
}

fn descriptor() -> impl Strategy<Value = Descriptor> {
    let spot = || {
        (
            0u16..6,
            prop_oneof![8 => 0u64..40_000, 4 => 0u64..20, 1 => any::<u64>()],
        )
    };
    let length = || {
        prop_oneof![
            4 => 1u32..100,
            4 => 1u32..150_000,
            1 => any::<u32>(),
        ]
    };
    prop_oneof![
        1 => any::<u32>().prop_map(nop),
        8 => (any::<u32>(), spot(), spot(), length())
            .prop_map(|(tag, from, to, length)| copy(tag, from, to, length)),
        4 => (any::<u32>(), spot(), 0u64..20_000, length())
            .prop_map(|(tag, from, to, length)| copy(tag, from, (from.0, to), length)),
        4 => (any::<u32>(), any::<u64>(), spot(), length())
            .prop_map(|(tag, word, to, length)| fill(tag, word, to, length)),
        4 => (any::<u32>(), any::<u64>(), spot(), length())
            .prop_map(|(tag, seed, to, length)| pattern(tag, seed, to, length)),
        4 => (any::<u32>(), 0u64..2, spot(), length())
            .prop_map(|(tag, seed, from, length)| verify(tag, seed, from, length)),
        4 => (any::<u32>(), any::<u32>(), spot(), length())
            .prop_map(|(tag, checksum, from, length)| crc32c(tag, checksum, from, length)),
        1 => any::<[u8; 64]>().prop_map(|bytes| Descriptor::read_from_bytes(&bytes).unwrap()),
    ]
}
