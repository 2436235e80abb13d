// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The record: requests for a new server, their order, and the limits.

use ringbar_broker::record::{NotRecorded, Step, MAX_EVENTFDS, MAX_FILES, MAX_INFOS, MAX_WRITES};
use ringbar_broker::{Message, Record};
use ringbar_vfio_user::ranges::RangeFault;
use ringbar_vfio_user::testing::{
    self, dma_map, dma_unmap, interrupt_info, region_info, region_write, set_interrupts, version,
    VERSION_TEXT,
};
use ringbar_vfio_user::wire::command;
use ringbar_vfio_user::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_DMA_UNMAP_FLAG_ALL, VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER,
    VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE,
};

use crate::common::{file, message, payload_of_success, File};

const PAGE: u64 = 4096;
const CONFIG: u32 = 7;
const CONNECT: u32 = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
const DISABLE: u32 = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;

/// Notes a request without descriptors that was carried out.
fn note(record: &mut Record<File>, bytes: &[u8]) -> Result<(), NotRecorded> {
    note_with(record, bytes, &[])
}

/// Notes a request that was carried out.
fn note_with(record: &mut Record<File>, bytes: &[u8], fds: &[File]) -> Result<(), NotRecorded> {
    record.note(&message(bytes, fds.to_vec()), None)
}

/// Maps a page with a file.
fn map(record: &mut Record<File>, page: u64, fd: File) -> Result<(), NotRecorded> {
    note_with(record, &dma_map(3, 0, page * PAGE, PAGE), &[fd])
}

/// Notes a question with a success of the server.
fn note_info(record: &mut Record<File>, bytes: &[u8], fds: &[File]) -> Result<(), NotRecorded> {
    let request = message(bytes, Vec::new());
    let payload = payload_of_success(request.header.command, &request.payload);
    let mut reply = request.reply(&payload);
    reply.fds = fds.to_vec();
    record.note(&request, Some(&reply))
}

/// Connects eventfds from a vector on.
fn connect(record: &mut Record<File>, index: u32, start: u32, fds: &[File]) {
    let count = fds.len() as u32;
    note_with(
        record,
        &set_interrupts(CONNECT, index, start, count, &[]),
        fds,
    )
    .unwrap();
}

/// Returns the requests for a new server, as messages with number 7.
fn replayed(record: &Record<File>) -> Vec<Message<File>> {
    let request = |step: Step<File>| Message::request(7, step.command, step.payload, step.fds);
    record.replay().map(request).collect()
}

/// Returns the pages that a new server gets, with the numbers of their files.
fn mapped_pages(record: &Record<File>) -> Vec<(u64, u32)> {
    replayed(record)
        .iter()
        .map(|request| {
            let mut fields = request.fields();
            fields.u64().unwrap();
            fields.u64().unwrap();
            (fields.u64().unwrap() / PAGE, request.fds[0].number)
        })
        .collect()
}

/// Returns index, vector and descriptor of each eventfd that a new server gets.
fn connected(record: &Record<File>) -> Vec<(u32, u32, u32)> {
    replayed(record)
        .iter()
        .map(|request| {
            let mut fields = request.fields();
            let [_argsz, _flags, index, vector, count] = [(); 5].map(|()| fields.u32().unwrap());
            assert_eq!((count, request.fds.len()), (1, 1));
            (index, vector, request.fds[0].number)
        })
        .collect()
}

#[test]
fn new_server_gets_version_questions_maps_configuration_and_interrupts_in_this_order() {
    let mut record = Record::default();
    let (eventfd, memory) = (file(1), file(2));
    // Not in the order in which they are replayed.
    connect(&mut record, 2, 0, &[eventfd]);
    note(&mut record, &region_write(CONFIG, 4, &[7, 0])).unwrap();
    map(&mut record, 16, memory).unwrap();
    note_info(&mut record, &region_info(32, 0), &[]).unwrap();
    note(&mut record, &version(VERSION_TEXT)).unwrap();

    let expected = [
        message(&version(VERSION_TEXT), vec![]),
        message(&region_info(32, 0), vec![]),
        message(&dma_map(3, 0, 16 * PAGE, PAGE), vec![memory]),
        message(&region_write(CONFIG, 4, &[7, 0]), vec![]),
        message(&set_interrupts(CONNECT, 2, 0, 1, &[]), vec![eventfd]),
    ];
    assert_eq!(replayed(&record), expected);
}

#[test]
fn record_is_agreed_with_a_version_only() {
    let mut record = Record::<File>::default();
    let request = message(&version("{}"), vec![]);
    assert!(!record.is_agreed());
    record
        .note(&request, Some(&request.refusal(Errno::INVAL)))
        .unwrap();
    assert!(!record.is_agreed());

    record.note(&request, Some(&request.reply(&[]))).unwrap();

    assert!(record.is_agreed());
}

#[test]
fn unmap_takes_out_all_maps_inside_its_range() {
    let mut record = Record::default();
    for page in 1..=5 {
        map(&mut record, page, file(page as u32)).unwrap();
    }

    note(&mut record, &dma_unmap(0, 2 * PAGE, 3 * PAGE)).unwrap();

    assert_eq!(mapped_pages(&record), [(1, 1), (5, 5)]);
}

#[test]
fn unmap_with_the_flag_all_takes_out_every_map() {
    let mut record = Record::default();
    map(&mut record, 0, file(1)).unwrap();
    map(&mut record, u64::MAX / PAGE, file(2)).unwrap();

    note(&mut record, &dma_unmap(VFIO_DMA_UNMAP_FLAG_ALL, 0, 0)).unwrap();

    assert_eq!(replayed(&record), []);
}

#[test]
fn unmap_that_would_cut_a_map_changes_nothing() {
    let mut record = Record::default();
    note_with(&mut record, &dma_map(3, 0, 0, 2 * PAGE), &[file(1)]).unwrap();

    let result = note(&mut record, &dma_unmap(0, PAGE, PAGE));

    assert!(matches!(
        result,
        Err(NotRecorded::Range(RangeFault::Split { .. }))
    ));
    assert_eq!(mapped_pages(&record), [(0, 1)]);
}

#[test]
fn refused_map_is_not_recorded() {
    let mut record = Record::default();
    let request = message(&dma_map(3, 0, 0, PAGE), vec![file(1)]);

    record
        .note(&request, Some(&request.refusal(Errno::INVAL)))
        .unwrap();

    assert_eq!(replayed(&record), []);
}

#[test]
fn maps_of_one_file_share_one_descriptor_until_the_last_is_gone() {
    let mut record = Record::default();
    let [first, second] = [1, 2].map(|number| File { number, file: 9 });
    map(&mut record, 1, first).unwrap();
    map(&mut record, 2, second).unwrap();
    assert_eq!(mapped_pages(&record), [(1, 1), (2, 1)]);

    note(&mut record, &dma_unmap(0, PAGE, PAGE)).unwrap();
    assert_eq!(mapped_pages(&record), [(2, 1)]);
    note(&mut record, &dma_unmap(0, 2 * PAGE, PAGE)).unwrap();
    map(&mut record, 3, second).unwrap();

    assert_eq!(mapped_pages(&record), [(3, 2)]);
}

#[test]
fn map_without_a_file_is_replayed_without_one() {
    let mut record = Record::default();
    note(&mut record, &dma_map(3, 0, 0, PAGE)).unwrap();

    assert_eq!(replayed(&record)[0].fds, []);
}

#[test]
fn files_of_memory_have_a_limit_that_is_named_before_the_server_maps() {
    let mut record = Record::default();
    for number in 0..MAX_FILES as u32 {
        map(&mut record, number.into(), file(number)).unwrap();
    }
    let next = dma_map(3, 0, 1 << 40, PAGE);

    let refused = record.check(&message(&next, vec![file(1000)]));
    let known = record.check(&message(&next, vec![file(3)]));

    assert_eq!(refused, Err(NotRecorded::Files));
    assert!(refused.unwrap_err().to_string().contains("256"));
    assert_eq!(known, Ok(()));
}

#[test]
fn last_configuration_write_of_an_offset_and_length_is_kept_in_order_of_the_last_write() {
    let mut record = Record::default();
    for (offset, data) in [
        (4_u64, &[1_u8, 0][..]),
        (0x10, &[2, 0, 0, 0]),
        (4, &[3]),
        (4, &[4, 0]),
    ] {
        note(&mut record, &region_write(CONFIG, offset, data)).unwrap();
    }

    let expected = [
        region_write(CONFIG, 0x10, &[2, 0, 0, 0]),
        region_write(CONFIG, 4, &[3]),
        region_write(CONFIG, 4, &[4, 0]),
    ];
    assert_eq!(
        replayed(&record),
        expected.map(|bytes| message(&bytes, vec![]))
    );
}

#[test]
fn register_writes_are_not_recorded() {
    let mut record = Record::default();

    note(&mut record, &region_write(0, 4, &[1])).unwrap();

    assert_eq!(replayed(&record), []);
}

#[test]
fn reset_forgets_configuration_writes_and_keeps_maps_and_interrupts() {
    let mut record = Record::default();
    note(&mut record, &region_write(CONFIG, 4, &[7])).unwrap();
    map(&mut record, 1, file(1)).unwrap();
    connect(&mut record, 2, 0, &[file(2)]);

    note(&mut record, &testing::message(command::DEVICE_RESET, &[])).unwrap();

    let commands: Vec<u16> = replayed(&record)
        .iter()
        .map(|request| request.header.command)
        .collect();
    assert_eq!(commands, [command::DMA_MAP, command::DEVICE_SET_IRQS]);
}

#[test]
fn configuration_writes_beyond_the_limit_forget_the_oldest() {
    let mut record = Record::default();
    for offset in 0..MAX_WRITES as u64 {
        note(&mut record, &region_write(CONFIG, offset, &[1])).unwrap();
    }

    let result = note(&mut record, &region_write(CONFIG, 5000, &[1]));

    assert_eq!(result, Err(NotRecorded::ConfigWrites));
    let steps = replayed(&record);
    assert_eq!(steps.len(), MAX_WRITES);
    assert_eq!(steps[0], message(&region_write(CONFIG, 1, &[1]), vec![]));
}

#[test]
fn configuration_writes_of_many_bytes_are_bounded_by_their_bytes() {
    let mut record = Record::default();
    for offset in 0..16 {
        note(&mut record, &region_write(CONFIG, offset, &[1; 4096])).unwrap();
    }

    let result = note(&mut record, &region_write(CONFIG, 16, &[1; 4096]));

    assert_eq!(result, Err(NotRecorded::ConfigWrites));
    assert_eq!(replayed(&record).len(), 16);
}

#[test]
fn eventfds_are_replayed_one_vector_a_message() {
    let mut record = Record::default();
    connect(&mut record, 2, 3, &[file(13), file(14)]);
    connect(&mut record, 1, 0, &[file(20)]);
    connect(&mut record, 2, 0, &[file(10)]);

    assert_eq!(
        connected(&record),
        [(1, 0, 20), (2, 0, 10), (2, 3, 13), (2, 4, 14)]
    );
}

#[test]
fn eventfd_of_a_vector_is_replaced_by_the_next() {
    let mut record = Record::default();
    connect(&mut record, 2, 0, &[file(1)]);
    connect(&mut record, 2, 0, &[file(2)]);

    assert_eq!(connected(&record), [(2, 0, 2)]);
}

#[test]
fn eventfd_request_without_descriptors_forgets_these_vectors() {
    let mut record = Record::default();
    connect(&mut record, 2, 0, &[file(1), file(2), file(3)]);

    note(&mut record, &set_interrupts(CONNECT, 2, 1, 1, &[])).unwrap();

    assert_eq!(connected(&record), [(2, 0, 1), (2, 2, 3)]);
}

#[test]
fn data_none_with_count_0_forgets_the_type_and_no_other() {
    let mut record = Record::default();
    connect(&mut record, 2, 0, &[file(1), file(2)]);
    connect(&mut record, 1, 0, &[file(3)]);

    note(&mut record, &set_interrupts(DISABLE, 2, 0, 0, &[])).unwrap();

    assert_eq!(connected(&record), [(1, 0, 3)]);
}

#[test]
fn interrupt_raised_by_the_client_forgets_nothing() {
    let mut record = Record::default();
    connect(&mut record, 2, 0, &[file(1)]);

    note(&mut record, &set_interrupts(DISABLE, 2, 0, 1, &[])).unwrap();

    assert_eq!(connected(&record), [(2, 0, 1)]);
}

#[test]
fn eventfd_that_triggers_comes_before_one_that_masks() {
    let mut record = Record::default();
    let mask = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_MASK;
    note_with(&mut record, &set_interrupts(mask, 0, 0, 1, &[]), &[file(1)]).unwrap();
    connect(&mut record, 0, 0, &[file(2)]);

    assert_eq!(connected(&record), [(0, 0, 2), (0, 0, 1)]);
}

#[test]
fn eventfds_have_a_limit_that_is_named() {
    let mut record = Record::default();
    for vector in 0..MAX_EVENTFDS as u32 {
        connect(&mut record, 2, vector, &[file(vector)]);
    }
    let next = set_interrupts(CONNECT, 2, MAX_EVENTFDS as u32, 1, &[]);

    let refused = record.check(&message(&next, vec![file(0)]));

    assert_eq!(refused, Err(NotRecorded::Eventfds));
    assert!(refused.unwrap_err().to_string().contains("2112"));
}

#[test]
fn answer_to_a_question_is_repeated_with_the_number_of_the_new_one() {
    let mut record = Record::default();
    note_info(&mut record, &interrupt_info(16, 2), &[]).unwrap();
    let mut again = message::<File>(&interrupt_info(16, 2), vec![]);
    again.header.id = 99;

    let reply = record.info(&again).unwrap();

    assert_eq!(reply.header.id, 99);
    assert_eq!(&*reply.payload, testing::words(&[16, 1, 2, 9]));
    assert!(record
        .info(&message(&interrupt_info(16, 3), vec![]))
        .is_none());
}

#[test]
fn refused_question_is_refused_again() {
    let mut record = Record::default();
    let question = message::<File>(&interrupt_info(16, 4), vec![]);
    record
        .note(&question, Some(&question.refusal(Errno::INVAL)))
        .unwrap();

    assert!(record.info(&question).unwrap().is_error());
}

#[test]
fn questions_have_a_limit() {
    let mut record = Record::default();
    for index in 0..MAX_INFOS as u32 {
        note_info(&mut record, &interrupt_info(16, index), &[]).unwrap();
    }

    let result = note_info(&mut record, &interrupt_info(16, 1000), &[]);

    assert_eq!(result, Err(NotRecorded::Infos));
}

#[test]
fn region_files_are_those_of_the_answers() {
    let mut record = Record::default();
    note_info(&mut record, &region_info(32, 2), &[file(5)]).unwrap();
    note_info(&mut record, &region_info(32, 0), &[file(4)]).unwrap();
    note_info(&mut record, &region_info(32, 1), &[]).unwrap();

    let files: Vec<_> = record
        .region_files()
        .iter()
        .map(|file| (file.region, file.size, file.offset, file.file.number))
        .collect();

    assert_eq!(files, [(0, 0x2000, 0, 4), (2, 0x2000, 0, 5)]);
}

#[test]
fn request_too_short_to_be_understood_is_named() {
    let mut record = Record::default();
    for command in [
        command::DMA_MAP,
        command::DMA_UNMAP,
        command::DEVICE_SET_IRQS,
    ] {
        let result = note(&mut record, &testing::message(command, &[0; 7]));
        assert_eq!(result, Err(NotRecorded::Payload { command, size: 7 }));
    }
}
