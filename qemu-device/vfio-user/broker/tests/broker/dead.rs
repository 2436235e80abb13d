// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The answers without a server.

use ringbar_broker::{dead, Message, Record};
use ringbar_vfio_user::testing::{
    self, dma_map, dma_unmap, interrupt_info, region_info, region_read, region_write,
    set_interrupts, version, words,
};
use ringbar_vfio_user::wire::{command, FLAG_ERROR, MAX_TRANSFER, TYPE_REPLY};
use ringbar_vfio_user::Errno;

use crate::common::{file, message, payload_of_success, File};

/// Answers a request with a fresh record.
fn answer(bytes: &[u8]) -> Message<File> {
    dead::answer(&message(bytes, vec![]), &mut Record::default())
}

/// Asserts that a request gets a success with this payload.
#[track_caller]
fn assert_success(bytes: &[u8], payload: &[u8]) {
    let request = message::<File>(bytes, vec![]);
    let reply = answer(bytes);

    assert_eq!(reply.header.flags, TYPE_REPLY);
    assert_eq!(
        (reply.header.id, reply.header.command),
        (request.header.id, request.header.command)
    );
    assert_eq!(&*reply.payload, payload);
    assert_eq!(reply.header.size as usize, reply.size());
}

/// Asserts that a request is refused with this error.
#[track_caller]
fn assert_refused(bytes: &[u8], errno: Errno) {
    let header = answer(bytes).header;

    assert_eq!(header.flags, TYPE_REPLY | FLAG_ERROR);
    assert_eq!(header.error, errno.raw_os_error() as u32);
    assert_eq!(header.size, 16);
}

#[test]
fn read_gives_all_ones_behind_its_own_head() {
    let request = region_read(2, 0x40, 4);

    assert_success(&request, &[&request[16..], &[0xff; 4]].concat());
}

#[test]
fn read_of_more_than_one_transfer_is_refused() {
    assert_success(
        &region_read(2, 0, MAX_TRANSFER as u32),
        &[
            &region_read(2, 0, MAX_TRANSFER as u32)[16..],
            &vec![0xff; MAX_TRANSFER],
        ]
        .concat(),
    );
    assert_refused(&region_read(2, 0, MAX_TRANSFER as u32 + 1), Errno::INVAL);
    assert_refused(&region_read(2, 0, u32::MAX), Errno::INVAL);
}

#[test]
fn write_is_a_success_with_its_head() {
    let request = region_write(0, 8, &[1, 2, 3, 4]);

    assert_success(&request, &request[16..32]);
}

#[test]
fn many_writes_are_a_success_with_their_number() {
    let payload = [&words(&[1, 0]), &[0; 24][..]].concat();

    assert_success(
        &testing::message(command::REGION_WRITE_MULTI, &payload),
        &payload[..8],
    );
}

#[test]
fn unmap_is_a_success_with_its_own_payload() {
    let request = dma_unmap(0, 0x1000, 0x1000);

    assert_success(&request, &request[16..]);
}

#[test]
fn map_interrupts_and_reset_are_empty_successes() {
    assert_success(&dma_map(3, 0, 0, 0x1000), &[]);
    assert_success(&set_interrupts(0x21, 2, 0, 0, &[]), &[]);
    assert_success(&testing::message(command::DEVICE_RESET, &[]), &[]);
}

#[test]
fn question_that_was_asked_before_is_answered_as_before() {
    let mut record = Record::default();
    let request = message(&region_info(32, 0), vec![]);
    let mut known = request.reply(&payload_of_success(
        command::DEVICE_GET_REGION_INFO,
        &request.payload,
    ));
    known.fds = vec![file(3)];
    record.note(&request, Some(&known)).unwrap();

    assert_eq!(dead::answer(&request, &mut record), known);
}

#[test]
fn question_that_was_never_asked_is_refused() {
    assert_refused(
        &testing::message(command::DEVICE_GET_INFO, &words(&[16, 0, 0, 0])),
        Errno::IO,
    );
    assert_refused(&region_info(32, 0), Errno::IO);
    assert_refused(&interrupt_info(16, 0), Errno::IO);
}

#[test]
fn all_other_commands_are_refused() {
    assert_refused(&version("{}"), Errno::IO);
    for command in [
        command::DEVICE_GET_REGION_IO_FDS,
        command::DMA_READ,
        command::DMA_WRITE,
        command::DIRTY_PAGES,
        command::DEVICE_FEATURE,
        command::MIG_DATA_READ,
        command::MIG_DATA_WRITE,
        0,
        u16::MAX,
    ] {
        assert_refused(&testing::message(command, &[0; 32]), Errno::IO);
    }
}

#[test]
fn request_that_is_too_short_is_refused() {
    for (command, least) in [
        (command::REGION_READ, 16),
        (command::REGION_WRITE, 16),
        (command::REGION_WRITE_MULTI, 8),
        (command::DMA_MAP, 32),
        (command::DMA_UNMAP, 24),
        (command::DEVICE_SET_IRQS, 20),
    ] {
        assert_refused(
            &testing::message(command, &vec![0; least - 1]),
            Errno::INVAL,
        );
    }
}

#[test]
fn last_answer_keeps_no_record_and_refuses_questions() {
    let map = message::<File>(&dma_map(3, 0, 0, 0x1000), vec![]);
    let read = message::<File>(&region_read(2, 0x40, 4), vec![]);
    let question = message::<File>(&region_info(32, 1), vec![]);

    for _ in 0..2 {
        assert_eq!(dead::last_answer(&map), map.reply(&[]));
    }
    let payload = [&read.payload[..], &[0xff; 4]].concat();
    assert_eq!(dead::last_answer(&read), read.reply(&payload));
    assert_eq!(dead::last_answer(&question), question.refusal(Errno::IO));
}

#[test]
fn map_over_a_map_is_refused_as_a_server_would() {
    let mut record = Record::default();
    let request = message(&dma_map(3, 0, 0, 0x1000), vec![file(1)]);

    let first = dead::answer(&request, &mut record);
    let second = dead::answer(&request, &mut record);

    assert!(!first.is_error());
    assert_eq!(second, request.refusal(Errno::EXIST));
}

#[test]
fn what_is_answered_with_success_is_recorded() {
    let mut record = Record::default();
    let requests = [
        message(&dma_map(3, 0, 0, 0x1000), vec![file(1)]),
        message(&region_write(7, 4, &[7]), vec![]),
        message(&set_interrupts(0x24, 2, 0, 1, &[]), vec![file(2)]),
    ];
    for request in &requests {
        dead::answer(request, &mut record);
    }

    let replayed: Vec<Message<File>> = record
        .replay()
        .map(|step| Message::request(7, step.command, step.payload, step.fds))
        .collect();
    assert_eq!(replayed, requests);
}
