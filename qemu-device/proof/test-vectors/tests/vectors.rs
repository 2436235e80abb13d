// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The vectors are consistent: names are unique, stated statuses agree with the checks of data
//! sheet 8.

use ringbar_spec::ring::{Descriptor, Opcode, Status};
use ringbar_test_vectors::scene::{self, DEVICE, GUEST, SCATTERED};
use ringbar_test_vectors::{all, by_chance, by_hand, Images, DEFAULT_SEED};
use std::collections::BTreeSet;

#[test]
fn vectors_made_by_hand_end_as_they_state() {
    let initial = Images::default();
    for vector in by_hand() {
        let mut images = initial.clone();
        let stated = vector.stated.as_ref().expect("a hand states it");
        for (descriptor, stated) in vector.descriptors.iter().zip(stated) {
            let ended = images.carry_out(descriptor);
            assert_eq!(
                (Status(ended.status), ended.result),
                *stated,
                "{}: {descriptor:?}",
                vector.name
            );
        }
    }
}

#[test]
fn names_are_unique_and_without_blanks() {
    let all = all(DEFAULT_SEED);
    let names: BTreeSet<_> = all.iter().map(|vector| &vector.name).collect();

    assert_eq!(names.len(), all.len());
    assert!(names.iter().all(|name| !name.contains(char::is_whitespace)));
}

#[test]
fn every_status_but_those_of_lost_memory_comes_up() {
    let initial = Images::default();
    for vectors in [by_hand(), by_chance(DEFAULT_SEED)] {
        let ended: BTreeSet<u16> = vectors
            .iter()
            .flat_map(|vector| vector.outcome(&initial).0)
            .map(|completion| completion.status)
            .collect();
        for (status, name) in Status::ALL {
            let lost = [Status::DMA_FAULT, Status::ABORTED].contains(status);
            assert_eq!(ended.contains(&status.0), !lost, "{name}");
        }
    }
}

#[test]
fn seed_repeats_the_vectors() {
    let descriptors = |seed| -> Vec<Descriptor> {
        let vectors = by_chance(seed).into_iter();
        vectors.flat_map(|vector| vector.descriptors).collect()
    };

    assert_eq!(descriptors(7), descriptors(7));
    assert_ne!(descriptors(7), descriptors(8));
}

#[test]
fn filled_bytes_lie_where_the_parts_of_a_window_do() {
    let mut images = Images::default();
    let fill = Descriptor {
        opcode: Opcode::FILL.0,
        length: 4,
        destination_window: SCATTERED,
        // Two bytes before the end of the first part.
        destination_offset: 4095,
        operand: 0x0403_0201,
        ..Descriptor::default()
    };

    images.carry_out(&fill);

    let mut expected = scene::initial(2);
    expected[13_095..13_097].copy_from_slice(&[1, 2]);
    expected[101..103].copy_from_slice(&[3, 4]);
    assert_eq!(images.memories()[2], expected);
}

#[test]
fn overlapping_copy_moves_the_bytes_as_they_were() {
    let mut images = Images::default();
    let before = scene::initial(0);
    let copy = Descriptor {
        opcode: Opcode::COPY.0,
        length: 100,
        source_window: GUEST,
        destination_window: GUEST,
        destination_offset: 1,
        ..Descriptor::default()
    };

    images.carry_out(&copy);

    assert_eq!(images.memories()[0][1..101], before[..100]);
    assert_eq!(images.memories()[0][101..], before[101..]);
    assert_eq!(
        images.memories()[usize::from(DEVICE) - 1],
        scene::initial(1)
    );
}
