// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device as described to the client.

use ringbar_vfio_user::testing::{
    interrupt_info, message, region_info, version, words, TestSession,
};
use ringbar_vfio_user::wire::command;
use ringbar_vfio_user::Errno;

use crate::{outcome, outcome_of, patched, reason, reply, shortened, EACH};

const READ: u32 = 1;
const WRITE: u32 = 2;
const MMAP: u32 = 4;
const CAPS: u32 = 8;

fn device_info(argsz: u32) -> Vec<u8> {
    message(command::DEVICE_GET_INFO, &words(&[argsz, 0, 0, 0]))
}

/// Returns the words of a reply, and its file.
fn answer(bytes: &[u8]) -> (Vec<u32>, Option<u32>) {
    answer_from(&mut TestSession::negotiated(), bytes)
}

fn answer_from(test: &mut TestSession, bytes: &[u8]) -> (Vec<u32>, Option<u32>) {
    let (payload, file) = reply(test, bytes);
    let words = payload
        .chunks_exact(4)
        .map(|word| u32::from_ne_bytes(word.try_into().unwrap()))
        .collect();
    (words, file)
}

#[test]
fn device_is_pci_can_be_reset_and_has_nine_regions_and_five_interrupt_types() {
    assert_eq!(answer(&device_info(16)).0, [16, 3, 9, 5]);
}

#[test]
fn device_info_with_more_room_has_the_same_size() {
    assert_eq!(answer(&device_info(4096)).0, [16, 3, 9, 5]);
}

#[test]
fn device_info_with_a_short_payload_or_a_small_argsz_is_refused() {
    assert_eq!(outcome(&device_info(15), 0), Some(Errno::INVAL));
    assert_eq!(outcome(&shortened(&device_info(16)), 0), Some(Errno::INVAL));
}

#[test]
fn trapped_region_has_rights_and_size() {
    let answer = answer(&region_info(32, 0));

    assert_eq!(answer, (vec![32, READ | WRITE, 0, 0, 4096, 0, 0, 0], None));
}

#[test]
fn regions_with_one_right_report_it() {
    assert_eq!(answer(&region_info(32, 1)).0[1], READ);
    assert_eq!(answer(&region_info(32, 3)).0[1], WRITE);
}

#[test]
fn missing_region_is_empty() {
    assert_eq!(
        answer(&region_info(32, 8)).0,
        [32, READ & WRITE, 8, 0, 0, 0, 0, 0]
    );
}

#[test]
fn region_that_can_be_mapped_as_a_whole_comes_with_its_file_and_offset() {
    let answer = answer(&region_info(32, 4));

    assert_eq!(
        answer,
        (
            vec![32, READ | WRITE | MMAP, 4, 0, 0x2000, 0, 0x3000, 0],
            Some(1001)
        )
    );
}

#[test]
fn areas_without_room_are_announced_and_no_file_comes() {
    let answer = answer(&region_info(79, 2));

    assert_eq!(
        answer,
        (
            vec![80, READ | WRITE | MMAP | CAPS, 2, 32, 0x1_0000, 0, 0, 0],
            None
        )
    );
}

#[test]
fn areas_with_room_come_with_the_file() {
    let (words, file) = answer(&region_info(80, 2));

    assert_eq!(file, Some(1000));
    assert_eq!(words.len() * 4, 80);
    let capability = [
        0x1_0001, 0, 2, 0, 0x1000, 0, 0x1000, 0, 0x4000, 0, 0x2000, 0,
    ];
    assert_eq!(words[8..], capability);
}

#[test]
fn reply_is_not_longer_than_the_room() {
    for argsz in (32..100).step_by(EACH) {
        for index in 0..9 {
            let (words, _) = answer(&region_info(argsz, index));
            assert!(words.len() * 4 <= argsz as usize);
        }
    }
}

#[test]
fn client_that_takes_no_descriptors_is_offered_no_mapping() {
    let mut test = TestSession::new();
    let text = r#"{"capabilities":{"max_msg_fds":0}}"#;
    test.send(&version(text), 0).unwrap();

    for index in [2, 4] {
        let (words, file) = answer_from(&mut test, &region_info(4096, index));
        assert_eq!((words[0], words[1], file), (32, READ | WRITE, None));
    }
}

#[test]
fn region_index_out_of_range_is_refused() {
    for index in [9, u32::MAX] {
        assert_eq!(outcome(&region_info(32, index), 0), Some(Errno::INVAL));
    }
}

#[test]
fn region_info_with_a_short_payload_or_a_small_argsz_is_refused() {
    assert_eq!(outcome(&region_info(31, 0), 0), Some(Errno::INVAL));
    assert_eq!(
        outcome(&shortened(&region_info(32, 0)), 0),
        Some(Errno::INVAL)
    );
}

#[test]
fn interrupt_types_have_flags_and_counts() {
    assert_eq!(answer(&interrupt_info(16, 0)).0, [16, 3, 0, 1]);
    assert_eq!(answer(&interrupt_info(16, 1)).0, [16, 0, 1, 0]);
    assert_eq!(answer(&interrupt_info(99, 2)).0, [16, 1, 2, 4]);
}

#[test]
fn offered_notification_is_reported() {
    assert_eq!(answer(&interrupt_info(16, 3)).0, [16, 1, 3, 1]);
}

#[test]
fn missing_notification_is_an_error() {
    assert_eq!(outcome(&interrupt_info(16, 4), 0), Some(Errno::INVAL));
}

#[test]
fn interrupt_type_out_of_range_is_refused() {
    for index in [5, u32::MAX] {
        assert_eq!(outcome(&interrupt_info(16, index), 0), Some(Errno::INVAL));
    }
}

#[test]
fn interrupt_info_with_a_short_payload_or_a_small_argsz_is_refused() {
    assert_eq!(outcome(&interrupt_info(15, 0), 0), Some(Errno::INVAL));
    assert_eq!(
        outcome(&shortened(&interrupt_info(16, 0)), 0),
        Some(Errno::INVAL)
    );
}

#[test]
fn questions_with_a_file_descriptor_are_refused() {
    for question in [device_info(16), region_info(32, 0), interrupt_info(16, 0)] {
        assert_eq!(outcome(&question, 1), Some(Errno::INVAL));
    }
}

#[test]
fn device_feature_is_answered_as_the_kernel_does_without_it() {
    let feature = message(command::DEVICE_FEATURE, &words(&[8, 0x1_0001]));

    assert_eq!(outcome(&feature, 0), Some(Errno::NOTTY));
    assert_eq!(outcome(&patched(&feature, 0, 7), 0), Some(Errno::INVAL));
    assert_eq!(outcome(&shortened(&feature), 0), Some(Errno::INVAL));
}

#[test]
fn device_feature_is_named_by_its_number_alone() {
    let mut test = TestSession::negotiated();

    outcome_of(
        &mut test,
        &message(command::DEVICE_FEATURE, &words(&[8, 0x1_0005])),
        0,
    );

    assert_eq!(reason(&test), "device feature 5 is not supported");
}
