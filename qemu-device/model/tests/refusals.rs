// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Descriptors that are refused write nothing; those that are broken off have a status for it (data
//! sheet 8).

use ringbar_driver_side::descriptors::{copy, crc32c, fill, nop, pattern, verify};
use ringbar_model::test_driver::{Ring, TestDriver};
use ringbar_model::{Config, Location};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::Register;
use ringbar_spec::ring::{Descriptor, Opcode, Status, MAX_LENGTH};
use ringbar_spec::setup::{Segment, MAX_WINDOWS, RIGHT_READ, RIGHT_WRITE};

const DOMAIN: u32 = 1;
/// Window that may be read only.
const SOURCE: u16 = 1;
/// Window that may be written only.
const DESTINATION: u16 = 2;
/// Window of another domain.
const FOREIGN: u16 = 3;
/// Window on device memory, longer than the limit of a descriptor.
const DEVICE: u16 = 4;
const SEGMENT: u64 = 100_000;

struct Setup {
    driver: TestDriver,
    ring: Ring,
    source: [Segment; 2],
    destination: [Segment; 2],
}

impl Setup {
    fn new() -> Self {
        let mut driver = TestDriver::new(Config {
            queues: 2,
            vectors: 1,
            device_memory_size: 32 << 20,
            boot_number: 1,
        });
        let ring = driver.start_ring(1, DOMAIN, 4, 0);
        let mut segments = || {
            [0, 1].map(|_| Segment {
                address: driver.allocate(SEGMENT as usize),
                length: SEGMENT,
            })
        };
        let (source, destination) = (segments(), segments());
        driver.open_segments(SOURCE, DOMAIN, RIGHT_READ, &source);
        driver.open_segments(DESTINATION, DOMAIN, RIGHT_WRITE, &destination);
        driver.open_segments(FOREIGN, DOMAIN + 1, RIGHT_READ | RIGHT_WRITE, &destination);
        driver.open_device_memory(DEVICE, DOMAIN, RIGHT_READ | RIGHT_WRITE, 0, 32 << 20);
        Self {
            driver,
            ring,
            source,
            destination,
        }
    }

    /// Returns the writes of the device, but for those to the completion ring.
    fn writes(&self) -> Vec<Location> {
        let ring = Location::Guest(self.ring.setup.completion_ring);
        let touches = self.driver.host.take_record().into_iter();
        touches
            .filter(|touch| touch.write && touch.place != ring)
            .map(|touch| touch.place)
            .collect()
    }
}

/// Asserts that a descriptor is refused, that nothing was written, and that the log names it.
#[track_caller]
fn refused(descriptor: &Descriptor, expected: Status) {
    let mut setup = Setup::new();
    setup.driver.host.start_recording();

    let completion = setup.ring.carry_out(&mut setup.driver, descriptor);

    assert_eq!(Status(completion.status), expected);
    assert_eq!(completion.tag, descriptor.tag);
    assert_eq!(setup.writes(), []);
    let value = u64::from(expected.0) << 32 | u64::from(descriptor.tag);
    assert_eq!(
        setup.driver.last_error(),
        (ErrorCode::DESCRIPTOR_REFUSED, 1, value)
    );
}

/// Makes a copy that is right.
fn right() -> Descriptor {
    copy(0x1234_5678, (SOURCE, 0), (DESTINATION, 0), 8)
}

#[test]
fn unknown_opcode_is_refused() {
    let opcode = Opcode::CRC32C.0 + 1;
    refused(&Descriptor { opcode, ..right() }, Status::BAD_OPCODE);
}

#[test]
fn largest_opcode_is_refused() {
    let opcode = u16::MAX;
    refused(&Descriptor { opcode, ..right() }, Status::BAD_OPCODE);
}

#[test]
fn length_0_is_refused() {
    refused(
        &Descriptor {
            length: 0,
            ..right()
        },
        Status::BAD_LENGTH,
    );
}

#[test]
fn length_over_the_limit_is_refused() {
    let descriptor = fill(1, 0, (DEVICE, 0), MAX_LENGTH + 1);
    refused(&descriptor, Status::BAD_LENGTH);
}

#[test]
fn length_over_the_limit_and_the_window_is_refused_for_the_limit() {
    let descriptor = pattern(1, 0, (DESTINATION, 0), u32::MAX);
    refused(&descriptor, Status::BAD_LENGTH);
}

#[test]
fn window_0_is_refused() {
    let source = copy(1, (0, 0), (DESTINATION, 0), 8);
    let destination = copy(1, (SOURCE, 0), (0, 0), 8);
    refused(&source, Status::BAD_WINDOW);
    refused(&destination, Status::BAD_WINDOW);
}

#[test]
fn closed_window_is_refused() {
    refused(&fill(1, 0, (9, 0), 8), Status::BAD_WINDOW);
}

#[test]
fn window_beyond_the_limit_is_refused() {
    let descriptor = fill(1, 0, (MAX_WINDOWS + 1, 0), 8);
    refused(&descriptor, Status::BAD_WINDOW);
}

#[test]
fn window_of_another_domain_is_refused() {
    refused(&fill(1, 0, (FOREIGN, 0), 8), Status::BAD_WINDOW);
}

#[test]
fn source_that_leaves_its_window_is_refused() {
    let descriptor = copy(1, (SOURCE, 2 * SEGMENT - 7), (DESTINATION, 0), 8);
    refused(&descriptor, Status::OUT_OF_BOUNDS);
}

#[test]
fn destination_that_leaves_its_window_is_refused() {
    let descriptor = copy(1, (SOURCE, 0), (DESTINATION, 2 * SEGMENT - 7), 8);
    refused(&descriptor, Status::OUT_OF_BOUNDS);
}

#[test]
fn offset_whose_end_overflows_is_refused() {
    let descriptor = fill(1, 0, (DESTINATION, u64::MAX), 8);
    refused(&descriptor, Status::OUT_OF_BOUNDS);
}

#[test]
fn source_that_may_not_be_read_is_refused() {
    let descriptor = copy(1, (DESTINATION, 0), (DEVICE, 0), 8);
    refused(&descriptor, Status::NOT_READABLE);
}

#[test]
fn destination_that_may_not_be_written_is_refused() {
    let descriptor = fill(1, 0, (SOURCE, 0), 8);
    refused(&descriptor, Status::NOT_WRITABLE);
}

#[test]
fn flags_are_refused() {
    refused(
        &Descriptor {
            flags: 1,
            ..right()
        },
        Status::RESERVED_FIELD,
    );
}

#[test]
fn reserved_words_are_refused() {
    for place in 0..3 {
        let mut descriptor = right();
        descriptor.reserved[place] = 1 << 63;
        refused(&descriptor, Status::RESERVED_FIELD);
    }
}

#[test]
fn operand_of_a_copy_is_refused() {
    let operand = 1;
    refused(&Descriptor { operand, ..right() }, Status::RESERVED_FIELD);
}

#[test]
fn source_of_a_fill_or_pattern_is_refused() {
    let right = pattern(1, 0, (DESTINATION, 0), 8);
    let source_window = SOURCE;
    let window = Descriptor {
        source_window,
        ..right
    };
    let offset = Descriptor {
        source_offset: 8,
        ..right
    };
    refused(&window, Status::RESERVED_FIELD);
    refused(&offset, Status::RESERVED_FIELD);
}

/// Makes the operations that only read, from a window.
fn readers(from: (u16, u64), length: u32) -> [Descriptor; 2] {
    [verify(1, 0, from, length), crc32c(1, 0, from, length)]
}

#[test]
fn destination_of_an_operation_that_only_reads_is_refused() {
    for right in readers((SOURCE, 0), 8) {
        let destination_window = DESTINATION;
        let window = Descriptor {
            destination_window,
            ..right
        };
        let offset = Descriptor {
            destination_offset: 8,
            ..right
        };
        refused(&window, Status::RESERVED_FIELD);
        refused(&offset, Status::RESERVED_FIELD);
    }
}

#[test]
fn source_of_an_operation_that_only_reads_is_checked() {
    for (from, length, status) in [
        ((SOURCE, 0), 0, Status::BAD_LENGTH),
        ((DEVICE, 0), MAX_LENGTH + 1, Status::BAD_LENGTH),
        ((0, 0), 8, Status::BAD_WINDOW),
        ((9, 0), 8, Status::BAD_WINDOW),
        ((FOREIGN, 0), 8, Status::BAD_WINDOW),
        ((SOURCE, 2 * SEGMENT - 7), 8, Status::OUT_OF_BOUNDS),
        ((DESTINATION, 0), 8, Status::NOT_READABLE),
    ] {
        for descriptor in readers(from, length) {
            refused(&descriptor, status);
        }
    }
}

#[test]
fn checksum_over_32_bits_is_refused() {
    let right = crc32c(1, u32::MAX, (SOURCE, 0), 8);
    let operand = 1 << 32;
    refused(&Descriptor { operand, ..right }, Status::RESERVED_FIELD);
}

#[test]
fn refused_descriptor_has_no_result() {
    for descriptor in readers((DESTINATION, 0), 8) {
        let mut setup = Setup::new();

        let completion = setup.ring.carry_out(&mut setup.driver, &descriptor);

        assert_eq!(completion.result, 0);
    }
}

#[test]
fn source_of_an_operation_that_only_reads_must_be_reachable_to_its_end() {
    for descriptor in readers((SOURCE, 0), 2 * SEGMENT as u32) {
        let mut setup = Setup::new();
        setup.driver.host.unmap(setup.source[1].address);

        let completion = setup.ring.carry_out(&mut setup.driver, &descriptor);

        assert_eq!(Status(completion.status), Status::DMA_FAULT);
        assert_eq!(completion.result, 0);
    }
}

#[test]
fn anything_in_a_nop_but_the_tag_is_refused() {
    let right = nop(7);
    let wrong = [
        Descriptor { flags: 1, ..right },
        Descriptor { length: 1, ..right },
        Descriptor {
            source_window: SOURCE,
            ..right
        },
        Descriptor {
            destination_window: DESTINATION,
            ..right
        },
        Descriptor {
            source_offset: 1,
            ..right
        },
        Descriptor {
            destination_offset: 1,
            ..right
        },
        Descriptor {
            operand: 1,
            ..right
        },
        Descriptor {
            reserved: [0, 0, 1],
            ..right
        },
        // Values that cancel each other out.
        Descriptor {
            length: SOURCE.into(),
            source_window: SOURCE,
            ..right
        },
        Descriptor {
            source_window: SOURCE,
            destination_window: SOURCE,
            ..right
        },
        Descriptor {
            destination_window: DESTINATION,
            source_offset: DESTINATION.into(),
            ..right
        },
        Descriptor {
            source_offset: 1,
            destination_offset: 1,
            ..right
        },
        Descriptor {
            destination_offset: 1,
            operand: 1,
            ..right
        },
    ];
    for descriptor in wrong {
        refused(&descriptor, Status::RESERVED_FIELD);
    }
}

#[test]
fn refused_descriptor_leaves_the_queue_running() {
    let mut setup = Setup::new();
    setup
        .ring
        .carry_out(&mut setup.driver, &fill(1, 0, (0, 0), 8));

    let completion = setup.ring.carry_out(&mut setup.driver, &right());

    assert_eq!(Status(completion.status), Status::OK);
}

#[test]
fn destination_that_cannot_be_reached_is_a_dma_fault() {
    let mut setup = Setup::new();
    setup.driver.host.unmap(setup.destination[0].address);

    let completion = setup.ring.carry_out(&mut setup.driver, &right());

    assert_eq!(Status(completion.status), Status::DMA_FAULT);
    let address = setup.destination[0].address;
    let error = (ErrorCode::MEMORY_FAULT, 1, address);
    assert_eq!(setup.driver.last_error(), error);
    assert_eq!(setup.driver.get(Register::ERROR_COUNT), 1);
}

#[test]
fn source_that_cannot_be_reached_is_a_dma_fault() {
    let mut setup = Setup::new();
    setup.driver.host.unmap(setup.source[0].address);

    let completion = setup.ring.carry_out(&mut setup.driver, &right());

    assert_eq!(Status(completion.status), Status::DMA_FAULT);
}

#[test]
fn memory_that_the_device_may_not_write_is_a_dma_fault() {
    let mut setup = Setup::new();
    let bytes = vec![0; SEGMENT as usize];
    let host = &setup.driver.host;
    host.map(setup.destination[0].address, bytes, false);

    let completion = setup.ring.carry_out(&mut setup.driver, &right());

    assert_eq!(Status(completion.status), Status::DMA_FAULT);
}

#[test]
fn last_segment_that_cannot_be_reached_keeps_the_first_from_being_written() {
    let mut setup = Setup::new();
    setup.driver.host.unmap(setup.destination[1].address);
    setup.driver.host.start_recording();

    let descriptor = fill(1, u64::MAX, (DESTINATION, 0), 2 * SEGMENT as u32);
    let completion = setup.ring.carry_out(&mut setup.driver, &descriptor);

    assert_eq!(Status(completion.status), Status::DMA_FAULT);
    assert_eq!(setup.writes(), []);
}

#[test]
fn last_source_segment_that_cannot_be_reached_keeps_the_copy_from_starting() {
    let mut setup = Setup::new();
    setup.driver.host.unmap(setup.source[1].address);
    setup.driver.host.start_recording();

    let descriptor = copy(1, (SOURCE, 0), (DESTINATION, 0), 2 * SEGMENT as u32);
    let completion = setup.ring.carry_out(&mut setup.driver, &descriptor);

    assert_eq!(Status(completion.status), Status::DMA_FAULT);
    let error = (ErrorCode::MEMORY_FAULT, 1, setup.source[1].address);
    assert_eq!(setup.driver.last_error(), error);
    assert_eq!(setup.writes(), []);
}

#[test]
fn segments_that_are_not_touched_need_not_be_reachable() {
    let mut setup = Setup::new();
    setup.driver.host.unmap(setup.destination[0].address);

    let descriptor = fill(1, 0, (DESTINATION, SEGMENT), SEGMENT as u32);
    let completion = setup.ring.carry_out(&mut setup.driver, &descriptor);

    assert_eq!(Status(completion.status), Status::OK);
}

#[test]
fn memory_that_goes_away_in_the_middle_aborts_the_operation() {
    let mut setup = Setup::new();
    let descriptor = fill(6, u64::MAX, (DESTINATION, 0), 2 * SEGMENT as u32);
    setup.ring.push(&setup.driver, &descriptor);
    setup.ring.kick(&mut setup.driver);
    setup.driver.step();

    setup.driver.host.unmap(setup.destination[1].address);
    setup.driver.run();

    let completion = setup.ring.take(&setup.driver).unwrap();
    assert_eq!(Status(completion.status), Status::ABORTED);
    assert_eq!(completion.tag, 6);
}

#[test]
fn address_that_went_away_in_the_middle_is_in_the_error_log() {
    let mut setup = Setup::new();
    let descriptor = fill(6, u64::MAX, (DESTINATION, 0), 2 * SEGMENT as u32);
    setup.ring.push(&setup.driver, &descriptor);
    setup.ring.kick(&mut setup.driver);
    setup.driver.step();

    setup.driver.host.unmap(setup.destination[1].address);
    setup.driver.run();

    let error = (ErrorCode::MEMORY_FAULT, 1, setup.destination[1].address);
    assert_eq!(setup.driver.last_error(), error);
}

/// Asserts that a descriptor is aborted if this byte of the destination, or of the source, is lost
/// while it is copied, and that the log has an address of the piece.
#[track_caller]
fn aborted_by_loss(descriptor: &Descriptor, of: impl Fn(&Setup) -> u64, logged: u64) {
    let mut setup = Setup::new();
    let lost = of(&setup);
    setup.driver.host.lose(lost);

    let completion = setup.ring.carry_out(&mut setup.driver, descriptor);

    assert_eq!(Status(completion.status), Status::ABORTED);
    let error = (ErrorCode::MEMORY_FAULT, 1, lost - logged);
    assert_eq!(setup.driver.last_error(), error);
}

#[test]
fn bytes_that_are_lost_while_one_piece_is_copied_abort_the_operation() {
    // DMA_FAULT would mean that nothing was written.
    let copy = copy(1, (SOURCE, 0), (DESTINATION, 0), 64);
    aborted_by_loss(&copy, |setup| setup.source[0].address + 9, 9);
    let fill = fill(1, 7, (DESTINATION, 8), 64);
    aborted_by_loss(&fill, |setup| setup.destination[0].address + 60, 52);
    let crc32c = crc32c(1, 0, (SOURCE, 0), 64);
    aborted_by_loss(&crc32c, |setup| setup.source[0].address, 0);
}

#[test]
fn queue_stops_when_the_completion_of_an_aborted_operation_cannot_be_written() {
    let mut setup = Setup::new();
    let descriptor = copy(6, (SOURCE, 0), (DESTINATION, 0), 2 * SEGMENT as u32);
    setup.ring.push(&setup.driver, &descriptor);
    setup.ring.kick(&mut setup.driver);
    setup.driver.step();

    setup.driver.host.fail_after(0);
    setup.driver.step();

    let address = setup.ring.setup.completion_ring;
    assert_eq!(
        setup.driver.last_error(),
        (ErrorCode::COMPLETION_FAULT, 1, address)
    );
}

/// Fills a window of so many segments for one step. Returns the number of writes.
fn writes_of_a_step(segments: u64) -> usize {
    const PIECES: u16 = 5;
    let mut setup = Setup::new();
    let address = setup.driver.allocate(16 * segments as usize);
    let list: Vec<_> = (0..segments)
        .map(|number| Segment {
            address: address + 16 * number,
            length: 8,
        })
        .collect();
    setup
        .driver
        .open_segments(PIECES, DOMAIN, RIGHT_WRITE, &list);
    let descriptor = fill(1, 0, (PIECES, 0), 8 * segments as u32);
    setup.ring.push(&setup.driver, &descriptor);
    setup.ring.kick(&mut setup.driver);
    setup.driver.host.start_recording();
    setup.driver.step();
    setup.writes().len()
}

#[test]
fn search_through_many_segments_ends_the_step_after_a_piece() {
    assert_eq!(writes_of_a_step(2048), 1);
}

#[test]
fn search_through_few_segments_is_free() {
    assert_eq!(writes_of_a_step(15), 15);
}

#[test]
fn descriptor_that_the_budget_of_a_step_cuts_short_is_refused_with_a_log_entry() {
    let mut setup = Setup::new();
    setup.driver.host.unmap(setup.destination[1].address);
    let first = fill(1, 0, (DEVICE, 0), 65_535);
    let second = fill(2, 0, (DESTINATION, 0), 2 * SEGMENT as u32);
    setup.ring.push(&setup.driver, &first);
    setup.ring.push(&setup.driver, &second);

    setup.ring.kick(&mut setup.driver);
    setup.driver.run();

    let ends: Vec<_> = setup.ring.take_all(&setup.driver);
    let ends: Vec<_> = ends.iter().map(|it| (it.tag, Status(it.status))).collect();
    assert_eq!(ends, [(1, Status::OK), (2, Status::DMA_FAULT)]);
    assert_eq!(setup.driver.get(Register::ERROR_COUNT), 1);
}
